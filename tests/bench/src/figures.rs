//! What was measured: medians by scenario and contender, and ratios of them. Pure.

use std::time::Duration;

use crate::contender::Contender;

/// A state of the host that calls are measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// How it is named on the command line and in the JSON.
    pub(crate) id: &'static str,
    /// What it shows.
    pub(crate) title: &'static str,
    /// The [`Self::id`] of the state that its growth is against.
    pub(crate) base: &'static str,
}

/// What a figure is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// The time of an ADD; in a burst, of all ADDs by their number.
    Add,
    /// The time of a DEL.
    Del,
    /// The peak of an ADD's resident memory.
    Memory,
    /// One plugin's share of the time of a chain's ADD.
    AddOf(&'static str),
    /// The same of a DEL.
    DelOf(&'static str),
}

/// One figure.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    /// Measured in which state.
    pub(crate) state: State,
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
    /// Notes a figure of `contender` in `state`, to three places.
    pub(crate) fn add(&mut self, state: State, contender: &Contender, of: (What, f64)) {
        let (contender, (what, value)) = (contender.name.clone(), of);
        self.0.push(Figure { state, contender, what, value: rounded(value) });
    }

    pub(crate) fn extend(&mut self, more: Self) {
        self.0.extend(more.0);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Figure> {
        self.0.iter()
    }

    /// Who was measured, in order.
    pub(crate) fn contenders(&self) -> Vec<String> {
        let mut names = Vec::new();
        for figure in &self.0 {
            if !names.contains(&figure.contender) {
                names.push(figure.contender.clone());
            }
        }
        names
    }

    /// In which states, in order.
    pub(crate) fn states(&self) -> Vec<State> {
        let mut states = Vec::new();
        for figure in &self.0 {
            if !states.contains(&figure.state) {
                states.push(figure.state);
            }
        }
        states
    }

    /// The figure of `contender` in the state with this ID.
    pub(crate) fn get(&self, state: &str, contender: &str, what: What) -> Option<f64> {
        let found = self.0.iter().find(|figure| {
            (figure.state.id, figure.contender.as_str(), figure.what) == (state, contender, what)
        });
        found.map(|figure| figure.value)
    }

    /// Against the floor in the same state.
    pub(crate) fn against_floor(&self, figure: &Figure) -> Option<f64> {
        let floor = self.get(figure.state.id, "floor", figure.what)?;
        Some(figure.value / floor)
    }

    /// Against the same contender in the state with one container and nothing else.
    pub(crate) fn growth(&self, figure: &Figure) -> Option<f64> {
        let base = self.get(figure.state.base, &figure.contender, figure.what)?;
        Some(figure.value / base)
    }
}

/// To three places.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// The middle one, in milliseconds.
pub(crate) fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default().as_secs_f64() * 1e3
}
