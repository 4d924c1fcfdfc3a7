//! firewalld, which drops what its zones do not let through: containers' addresses are put into a zone,
//! over D-Bus. Its own tables can't be changed by others: it makes them anew when it likes.
//!
//! What is bound so lasts as long as firewalld runs and is not reloaded.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use cni_common::sys::dbus::{Answer, Bus, Method, Value};
use cni_common::{Code, Error, Result, log};

/// Its name on the bus.
const NAME: &str = "org.fedoraproject.FirewallD1";
/// For all that one call of the plugin asks: a reload, during which nothing is answered, takes a second.
const TIMEOUT: Duration = Duration::from_secs(10);
/// An address is in the zone already.
const ALREADY_SET: &str = "ZONE_ALREADY_SET";
/// An address is in another zone.
const CONFLICT: &str = "ZONE_CONFLICT";
/// There is no such zone.
const INVALID_ZONE: &str = "INVALID_ZONE";
/// An address is in no zone.
const UNKNOWN_SOURCE: &str = "UNKNOWN_SOURCE";

/// A connection to it.
#[derive(Debug)]
pub struct Firewalld(Bus);

impl Firewalld {
    /// `None` where it does not run. Starts nothing.
    pub fn find() -> Result<Option<Self>> {
        let Some(mut bus) = Bus::system(TIMEOUT)? else { return Ok(None) };
        let runs = bus.has_owner(NAME)?;
        log::debug(|| format!("firewalld {}", if runs { "runs" } else { "does not run" }));
        Ok(runs.then(|| Self(bus)))
    }

    /// Fails where it does not run, under this code.
    pub fn required(code: Code) -> Result<Self> {
        let missing = "backend \"firewalld\": firewalld is not running, or not on the system bus";
        Self::find()?.ok_or_else(|| Error::new(code, missing))
    }

    /// The addresses, networks and sets that are in the zone.
    pub fn sources(&mut self, zone: &str) -> Result<BTreeSet<String>> {
        match self.call("getSources", &[zone])? {
            Answer::Reply(Some(Value::Texts(sources))) => Ok(sources.into_iter().collect()),
            Answer::Reply(_) => Err(unexpected("getSources")),
            Answer::Refused { message, .. } => Err(refusal(&message, zone)),
        }
    }

    /// Puts the address into the zone; one that is there already is fine.
    pub fn bind(&mut self, zone: &str, ip: IpAddr) -> Result<()> {
        let source = source(ip);
        match self.call("addSource", &[zone, &source])? {
            Answer::Refused { message, .. } if !message.contains(ALREADY_SET) => {
                // The words of the reference.
                let doing = format!("failed to add the address {source} to {zone} zone");
                Err(refusal(&message, zone).context(doing))
            }
            Answer::Reply(_) | Answer::Refused { .. } => Ok(()),
        }
    }

    /// Takes the address out of the zone; one that is not there is fine.
    pub fn release(&mut self, zone: &str, ip: IpAddr) -> Result<()> {
        let source = source(ip);
        match self.call("removeSource", &[zone, &source])? {
            Answer::Reply(_) => Ok(()),
            Answer::Refused { message, .. } => {
                match [UNKNOWN_SOURCE, CONFLICT, INVALID_ZONE]
                    .iter()
                    .any(|absent| message.contains(absent))
                {
                    true => Ok(()),
                    false => Err(refusal(&message, zone)
                        .context(format!("remove {source} from zone {zone}"))),
                }
            }
        }
    }

    /// Whether the address is in the zone.
    pub fn has(&mut self, zone: &str, ip: IpAddr) -> Result<bool> {
        match self.call("querySource", &[zone, &source(ip)])? {
            Answer::Reply(Some(Value::Flag(is_there))) => Ok(is_there),
            Answer::Reply(_) => Err(unexpected("querySource")),
            Answer::Refused { message, .. } => Err(refusal(&message, zone)),
        }
    }

    fn call(&mut self, member: &str, arguments: &[&str]) -> Result<Answer> {
        let method = Method {
            destination: NAME,
            path: "/org/fedoraproject/FirewallD1",
            interface: "org.fedoraproject.FirewallD1.zone",
            member,
        };
        self.0.call(&method, arguments)
    }
}

/// The address as a network of its own.
pub fn source(ip: IpAddr) -> String {
    format!("{ip}/{}", if ip.is_ipv4() { 32 } else { 128 })
}

fn refusal(message: &str, zone: &str) -> Error {
    if message.contains(INVALID_ZONE) {
        let message = format!("firewalldZone: firewalld has no zone {zone:?}");
        return Error::new(Code::InvalidConfig, message);
    }
    let code = if message.contains(CONFLICT) { Code::Conflict } else { Code::Kernel };
    Error::new(code, format!("firewalld: {message}"))
}

fn unexpected(member: &str) -> Error {
    Error::new(Code::Kernel, format!("firewalld: {member} returned something else than expected"))
}
