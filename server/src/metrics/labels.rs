//! The labels of counters. Each set is closed: no name, address or text from anybody can become a label, and a
//! scrape stays as short as on the first day.

use std::fmt::{self, Debug};
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;

/// A closed set of words.
pub trait Label: Copy + Send + Sync + 'static {
    /// The label's name.
    const KEY: &'static str;

    /// All words; each is at its [`index`](Self::index).
    fn all() -> Vec<Self>;

    /// The word.
    fn as_str(self) -> &'static str;

    /// The word's place in [`all`](Self::all).
    fn index(self) -> usize;
}

/// A counter for each word of a set. All exist from the start, at zero.
pub struct Labelled<L> {
    series: Arc<[(&'static str, AtomicU64)]>,
    words: PhantomData<fn(L)>,
}

impl<L: Label> Labelled<L> {
    /// Counts one.
    pub fn count(&self, label: L) {
        self.add(label, 1);
    }

    /// Counts this many at once.
    pub fn add(&self, label: L, count: u64) {
        if let Some((_, counter)) = self.series.get(label.index()) {
            counter.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// The count so far.
    pub fn get(&self, label: L) -> u64 {
        self.series.get(label.index()).map_or(0, |(_, counter)| counter.load(Ordering::Relaxed))
    }
}

impl<L: Label> Default for Labelled<L> {
    fn default() -> Self {
        let series = L::all().into_iter().map(|label| (label.as_str(), AtomicU64::new(0))).collect();
        Self { series, words: PhantomData }
    }
}

impl<L> Clone for Labelled<L> {
    /// Clones share the counters.
    fn clone(&self) -> Self {
        Self { series: Arc::clone(&self.series), words: PhantomData }
    }
}

impl<L> Debug for Labelled<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.series.iter().map(|(word, counter)| (word, counter))).finish()
    }
}

impl<L: Label> EncodeMetric for Labelled<L> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for (word, counter) in &*self.series {
            let counter = ConstCounter::new(counter.load(Ordering::Relaxed));
            counter.encode(encoder.encode_family(&[(L::KEY, *word)])?)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Counter
    }
}

/// Implements [`Label`] for an enum without fields, in the order of its variants.
macro_rules! words {
    ($name:ty, $key:literal, $( $variant:ident = $word:literal ),+ $(,)?) => {
        impl Label for $name {
            const KEY: &'static str = $key;

            fn all() -> Vec<Self> {
                vec![$( Self::$variant ),+]
            }

            fn as_str(self) -> &'static str {
                match self {
                    $( Self::$variant => $word, )+
                }
            }

            fn index(self) -> usize {
                self as usize
            }
        }
    };
}

/// Defines such an enum.
macro_rules! labels {
    ($(#[$about:meta])+ $name:ident, $key:literal, $( $(#[$what:meta])* $variant:ident = $word:literal; )+) => {
        $(#[$about])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $( $(#[$what])* $variant, )+
        }

        words!($name, $key, $( $variant = $word ),+);
    };
}

pub(super) use {labels, words};
