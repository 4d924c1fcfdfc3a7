//! `causeway graph`: bridges and what hangs on them, as a picture. What is drawn is what `ls` lists.
//!
//! - `picture`: what is drawn, whatever the form. Pure.
//! - `tree`: as text.
//! - `svg`, `card`, `style`: as SVG.
//! - `dot`: for graphviz.

mod card;
mod dot;
mod picture;
mod style;
mod svg;
mod tree;

use std::path::{Path, PathBuf};

use clap::Args;
use cni_common::Result;

use crate::check::Seen;
use crate::exit::Exit;
use crate::networks::Places;
use crate::output::{self, Form, Output};

pub(crate) use picture::Picture;

/// What is to be drawn, and how.
#[derive(Args, Debug)]
pub(crate) struct Drawing {
    /// Only of this network
    network: Option<String>,
    /// Write an SVG image into this file as a whole; `-` is standard output
    #[arg(long, value_name = "FILE", conflicts_with_all = ["dot", "json"])]
    svg: Option<PathBuf>,
    /// Print it in the language of graphviz
    #[arg(long, conflicts_with = "json")]
    dot: bool,
}

/// Draws it.
pub(crate) fn graph(drawing: &Drawing, places: &Places, output: Output) -> Result<Exit> {
    let Seen { networks, attachments } = Seen::new(places)?;
    let networks = networks.only(drawing.network.as_deref())?;
    let exit = attachments.complain(drawing.network.as_deref());
    let picture = Picture::of(&networks, &attachments);
    match &drawing.svg {
        Some(path) if path == Path::new("-") => output::print(&svg::draw(&picture))?,
        Some(path) => output::replace(path, &svg::draw(&picture))?,
        None if drawing.dot => output::print(&dot::draw(&picture))?,
        None => match output.form {
            Form::Json => output.show(&picture, String::new)?,
            Form::Text => output::print(&tree::draw(&picture, output))?,
        },
    }
    Ok(exit)
}
