//! The daemon's figures in the text format of Prometheus. Read from live counters when asked for;
//! nothing is kept here.

mod mirrors;

use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use crate::registry::MirrorFigures;
use crate::shared::Shared;

/// All figures, as `/metrics` answers.
#[must_use]
pub fn text(shared: &Shared) -> String {
    let mut registry = Registry::with_prefix("tidelock");
    registry.register_collector(Box::new(Figures::of(shared)));
    let mut text = String::new();
    if let Err(error) = prometheus_client::encoding::text::encode(&mut text, &registry) {
        tracing::error!(%error, "the metrics can't be written");
    }
    text
}

/// Name, help, unit and value.
type Gauge = (&'static str, &'static str, Option<Unit>, u64);

/// Name, help, and for volumes by name how many bytes.
type OfVolumes = (&'static str, &'static str, Vec<(Arc<str>, u64)>);

#[derive(Debug)]
struct Figures {
    gauges: Vec<Gauge>,
    counters: Vec<(&'static str, &'static str, Option<Unit>, u64)>,
    of_volumes: [OfVolumes; 2],
    of_mirrors: Vec<MirrorFigures>,
}

impl Figures {
    fn of(shared: &Shared) -> Self {
        let (commands, read, written) = shared.directory.totals();
        let volumes = shared.registry.counts();
        let mut figures = Self {
            of_volumes: Self::of_volumes(shared),
            of_mirrors: shared.registry.mirror_figures(),
            gauges: vec![
                ("uptime", "Since the daemon started", Some(Unit::Seconds), {
                    shared.started.elapsed().as_secs()
                }),
                (
                    "sessions",
                    "Sessions logged in",
                    None,
                    shared.directory.len() as u64,
                ),
                (
                    "volumes_ready",
                    "Volumes that can be used",
                    None,
                    volumes.ready,
                ),
                (
                    "volumes_fenced",
                    "Volumes fenced after a failed flush",
                    None,
                    volumes.fenced,
                ),
                (
                    "volumes_failed",
                    "Volumes whose file isn't open",
                    None,
                    volumes.failed,
                ),
                (
                    "payload_memory_used",
                    "Payload memory in use",
                    Some(Unit::Bytes),
                    { shared.pool.in_use() as u64 },
                ),
                (
                    "payload_memory_limit",
                    "Payload memory at most",
                    Some(Unit::Bytes),
                    { shared.pool.limit() as u64 },
                ),
            ],
            counters: vec![
                ("commands", "SCSI commands answered", None, commands),
                ("read", "Read by initiators", Some(Unit::Bytes), read),
                (
                    "written",
                    "Written by initiators",
                    Some(Unit::Bytes),
                    written,
                ),
                (
                    "data_syncs",
                    "fdatasync calls",
                    None,
                    shared.registry.data_syncs(),
                ),
            ],
        };
        figures.gauges.extend(Self::of_snapshots(shared));
        figures.gauges.extend(Self::of_space(shared));
        figures
    }

    fn of_volumes(shared: &Shared) -> [OfVolumes; 2] {
        let all = shared.registry.space_of_volumes();
        let used = all
            .iter()
            .filter_map(|(name, used, _)| Some((Arc::clone(name), (*used)?)));
        let limits = all
            .iter()
            .filter_map(|(name, _, limit)| Some((Arc::clone(name), (*limit)?)));
        [
            (
                "volume_used",
                "Space that a volume takes, with all that shares blocks with it",
                used.collect(),
            ),
            ("volume_limit", "Space that it may take", limits.collect()),
        ]
    }

    fn of_space(shared: &Shared) -> Vec<Gauge> {
        let Some(space) = shared.registry.space() else {
            return Vec::new();
        };
        let bytes = || Some(Unit::Bytes);
        vec![
            (
                "space_available",
                "Left in the file system of the state folder",
                bytes(),
                space.available,
            ),
            (
                "space_total",
                "Size of the file system of the state folder",
                bytes(),
                space.total,
            ),
        ]
    }

    fn of_snapshots(shared: &Shared) -> [Gauge; 2] {
        [
            (
                "snapshots",
                "Snapshots of all volumes",
                None,
                shared.registry.count_snapshots(),
            ),
            (
                "families",
                "Families of volumes that share blocks with snapshots or clones",
                None,
                shared.registry.catalog().families().len() as u64,
            ),
        ]
    }
}

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        for (name, help, unit, value) in &self.gauges {
            let gauge = ConstGauge::new(i64::try_from(*value).unwrap_or(i64::MAX));
            let metric =
                encoder.encode_descriptor(name, help, unit.as_ref(), gauge.metric_type())?;
            gauge.encode(metric)?;
        }
        for (name, help, volumes) in &self.of_volumes {
            if volumes.is_empty() {
                continue;
            }
            let mut family =
                encoder.encode_descriptor(name, help, Some(&Unit::Bytes), MetricType::Gauge)?;
            for (volume, bytes) in volumes {
                let gauge = ConstGauge::new(i64::try_from(*bytes).unwrap_or(i64::MAX));
                gauge.encode(family.encode_family(&[("volume", &**volume)])?)?;
            }
        }
        mirrors::encode(&mut encoder, &self.of_mirrors)?;
        for (name, help, unit, value) in &self.counters {
            let counter = ConstCounter::new(*value);
            let metric =
                encoder.encode_descriptor(name, help, unit.as_ref(), counter.metric_type())?;
            counter.encode(metric)?;
        }
        Ok(())
    }
}
