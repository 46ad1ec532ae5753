//! The resources of this process, as the operating system reports them. Its files are out of reach once the process is
//! confined, so they are opened before that and kept open.

use std::fmt;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::{Mutex, PoisonError};

use nix::dir::Dir;
use nix::fcntl::OFlag;
use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use nix::sys::stat::Mode;
use nix::sys::time::TimeValLike as _;
use parlour_protocol::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// Bytes of `/proc/self/status` that are read; the kernel writes less.
const STATUS_BYTES: usize = 8 * 1024;

/// The resources of this process. Numbers that the system does not give are left out.
#[derive(Debug)]
pub struct Process {
    status: Option<File>,
    descriptors: Option<Mutex<Dir>>,
    most_descriptors: Option<u64>,
    started: Timestamp,
}

impl Process {
    /// Opens the files. Call it before the process is confined, and after the limit of open files is set.
    pub fn open(started: Timestamp) -> Self {
        let descriptors = Dir::open("/proc/self/fd", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty());
        Self {
            status: File::open("/proc/self/status").ok(),
            descriptors: descriptors.ok().map(Mutex::new),
            most_descriptors: getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(soft, _)| soft),
            started,
        }
    }

    /// Bytes of physical memory that it uses.
    fn resident(&self) -> Option<u64> {
        let mut bytes = vec![0; STATUS_BYTES];
        let length = self.status.as_ref()?.read_at(&mut bytes, 0).ok()?;
        let text = String::from_utf8_lossy(bytes.get(..length)?);
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kibibytes.saturating_mul(1024))
    }

    /// The number of its open files.
    fn open_descriptors(&self) -> Option<u64> {
        let mut folder = self.descriptors.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        // Without the entries `.` and `..`.
        let count =
            folder.iter().flatten().filter(|entry| !entry.file_name().to_bytes().starts_with(b".")).count();
        u64::try_from(count).ok().filter(|count| *count > 0)
    }
}

/// Seconds of processor time that it has used, over all processors.
fn processor_seconds() -> Option<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Some(std::time::Duration::from_micros(u64::try_from(micros).ok()?).as_secs_f64())
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut add = |name: &str, help: &str, metric: Option<&dyn EncodeMetric>| match metric {
            Some(metric) => {
                metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
            }
            None => Ok(()),
        };
        let gauge = |value: Option<u64>| value.map(ConstGauge::new);
        let (resident, open, most) =
            (gauge(self.resident()), gauge(self.open_descriptors()), gauge(self.most_descriptors));
        let started = gauge(u64::try_from(self.started.as_seconds()).ok());
        let seconds = processor_seconds().map(ConstCounter::new);
        add("process_resident_memory_bytes", "Memory in use.", as_metric(resident.as_ref()))?;
        add("process_open_fds", "Open files.", as_metric(open.as_ref()))?;
        add("process_max_fds", "The most files that may be open.", as_metric(most.as_ref()))?;
        add("process_start_time_seconds", "When the process started.", as_metric(started.as_ref()))?;
        add("process_cpu_seconds", "Processor time used.", as_metric(seconds.as_ref()))
    }
}

fn as_metric<M: EncodeMetric>(metric: Option<&M>) -> Option<&dyn EncodeMetric> {
    metric.map(|metric| metric as _)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_follow_the_resources_that_the_process_uses() {
        let process = Process::open(Timestamp::from_millis(0));
        let before = process.open_descriptors().unwrap();
        let held: Vec<File> = (0..10).map(|_| File::open("/proc/self/status").unwrap()).collect();
        // Other tests of this process open and close files meanwhile.
        assert!(process.open_descriptors().unwrap() > before - 5 + u64::try_from(held.len()).unwrap() / 2);
        assert!(process.resident().unwrap() > 1 << 20);
        assert!(processor_seconds().unwrap() > 0.0);
        assert!(process.most_descriptors.unwrap() > 10);
    }
}
