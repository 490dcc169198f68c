"""The host's side of the guest tests: image, network, guest, target, scenarios."""
