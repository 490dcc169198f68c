//! The figures of mirrors, a fixed number of series for each. Knows of a mirror what `mirror show` says.

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use crate::registry::MirrorFigures;

/// Name, help, unit, and what it is of a mirror; `None`: nobody knows, or there is no such thing.
type Figure = (
    &'static str,
    &'static str,
    Option<Unit>,
    fn(&MirrorFigures) -> Option<u64>,
);

fn all() -> [Figure; 8] {
    [
        (
            "mirror_copy_state",
            "CopyState of the mirror, DMTF's number of it (4 is Synchronized, 3 Unsynchronized, 5 Broken)",
            None,
            |it| Some(it.copy_state),
        ),
        (
            "mirror_is_source",
            "Whether the volume here is the source at the moment; of two volumes here, the one that was named first",
            None,
            |it| it.is_source.map(u64::from),
        ),
        (
            "mirror_serves_hosts",
            "Whether there is a volume that hosts may write",
            None,
            |it| Some(u64::from(it.serves_hosts)),
        ),
        (
            "mirror_synced_percent",
            "How much of what is copied is there",
            None,
            |it| it.percent_synced,
        ),
        (
            "mirror_resync_left",
            "What is still to be copied",
            Some(Unit::Bytes),
            |it| Some(it.left_bytes),
        ),
        (
            "mirror_lag",
            "Written since the cut that an asynchronous target has",
            Some(Unit::Bytes),
            |it| it.lag_bytes,
        ),
        (
            "mirror_lag_age",
            "For how long the target hasn't had everything",
            Some(Unit::Seconds),
            |it| Some(it.behind_seconds),
        ),
        (
            "mirror_rpo_kept",
            "Whether an asynchronous target is no further behind than it should be",
            None,
            |it| it.rpo_kept.map(u64::from),
        ),
    ]
}

pub(super) fn encode(
    encoder: &mut DescriptorEncoder<'_>,
    mirrors: &[MirrorFigures],
) -> Result<(), std::fmt::Error> {
    for (name, help, unit, value) in all() {
        let known = |it| Some((it, value(it)?));
        let mut known = mirrors.iter().filter_map(known).peekable();
        if known.peek().is_none() {
            continue;
        }
        let mut family = encoder.encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?;
        for (mirror, value) in known {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            let labels = [
                ("mirror", mirror.id.as_str()),
                ("volume", mirror.volume.as_str()),
            ];
            gauge.encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}
