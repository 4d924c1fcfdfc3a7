//! What was measured: medians by scenario and contender, and ratios of them. Pure.

use std::time::Duration;

use crate::contender::Contender;
use crate::scenario::Scenario;

/// What a figure is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// The time of an ADD; in a burst, of all ADDs by their number.
    Add,
    /// The time of a DEL.
    Del,
    /// The peak of an ADD's resident memory.
    Memory,
}

/// One figure.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    /// [`Scenario::id`].
    pub(crate) scenario: &'static str,
    /// [`Scenario::title`].
    pub(crate) title: &'static str,
    /// [`Contender::name`].
    pub(crate) contender: String,
    /// What of.
    pub(crate) what: What,
    /// Milliseconds, or MiB.
    pub(crate) value: f64,
}

/// All figures of a run, in the order they were measured.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures(Vec<Figure>);

impl Figures {
    /// Notes a figure of `contender` in `scenario`.
    pub(crate) fn add(&mut self, scenario: &Scenario, contender: &Contender, of: (What, f64)) {
        let (scenario, title) = (scenario.id, scenario.title);
        let (contender, (what, value)) = (contender.name.clone(), of);
        self.0.push(Figure { scenario, title, contender, what, value });
    }

    pub(crate) fn extend(&mut self, more: Self) {
        self.0.extend(more.0);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Figure> {
        self.0.iter()
    }

    /// The figure of `contender` in `scenario`.
    pub(crate) fn get(&self, scenario: &str, contender: &str, what: What) -> Option<f64> {
        let found = self.0.iter().find(|figure| {
            (figure.scenario, figure.contender.as_str(), figure.what) == (scenario, contender, what)
        });
        found.map(|figure| figure.value)
    }

    /// Against the floor in the same scenario.
    pub(crate) fn against_floor(&self, figure: &Figure) -> Option<f64> {
        let floor = self.get(figure.scenario, "floor", figure.what)?;
        Some(figure.value / floor)
    }

    /// Against the same contender with one container and an empty pool.
    pub(crate) fn growth(&self, figure: &Figure) -> Option<f64> {
        let plain = self.get("plain", &figure.contender, figure.what)?;
        Some(figure.value / plain)
    }
}

/// The middle one, in milliseconds.
pub(crate) fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default().as_secs_f64() * 1e3
}
