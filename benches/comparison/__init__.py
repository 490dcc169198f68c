"""What `benches/compare` is made of. Targets come from tests/targets."""
