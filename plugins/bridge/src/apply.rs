//! Doing operations, and noting how each is undone.

mod host_link;
mod refused;
mod rollback;
mod sysctl;
pub(crate) mod wait;

use cni_common::error::{Code, Context, Error, Result};
use cni_common::log;
use cni_common::sys::link::NewBridge;
use cni_common::sys::pair::{NewEnd, NewPair};
use cni_common::sys::sysctl::Folder;
use cni_common::sys::{Netlink, Netns};
use cni_common::types::VlanId;
use cni_common::types::net::{VlanKind, VlanRange};
use cni_common::undo::Journal;
use nix::errno::Errno;

use crate::operation::{Operation, Place, SharedUndo, Undo, VlanAction};
use crate::resolv_conf;

/// Both namespaces of an attachment, and what has been done to them.
pub(crate) struct Machine {
    /// The plugin's own namespace.
    pub host: Netlink,
    /// A socket inside the container's.
    pub container: Netlink,
    /// The container's namespace.
    pub netns: Netns,
    bridge: String,
    journal: Journal<Undo>,
    indices: Vec<(Place, String, u32)>,
    /// `/proc/sys/net` of the plugin's own namespace and of the container's, once it was needed.
    host_sysctls: Option<Folder>,
    container_sysctls: Option<Folder>,
    /// Ports of the bridge, by index, that were there in full before this run changed anything that
    /// others share: they depend on none of it. `None` as long as nothing of that was changed.
    independent_ports: Option<Vec<u32>>,
}

impl Machine {
    /// Nothing done yet. `bridge` is the bridge's name.
    pub(crate) fn new(host: Netlink, (netns, container): (Netns, Netlink), bridge: &str) -> Self {
        Self {
            host,
            container,
            netns,
            bridge: bridge.to_owned(),
            journal: Journal::default(),
            indices: Vec::new(),
            host_sysctls: None,
            container_sysctls: None,
            independent_ports: None,
        }
    }

    /// Does `operations` in order, noting how to undo each; stops at the first that fails.
    pub(crate) fn apply(&mut self, operations: Vec<Operation>) -> Result<()> {
        let mut operations = operations.into_iter().peekable();
        while let Some(operation) = operations.next() {
            if let Operation::Sysctl { place: Place::Container, .. } = operation {
                let mut batch = vec![operation];
                while let Some(next) = operations.next_if(|next| {
                    matches!(next, Operation::Sysctl { place: Place::Container, .. })
                }) {
                    batch.push(next);
                }
                let (with_up, batch) = sysctl::split_for_up(batch, operations.peek());
                self.set_container_sysctls(&batch)?;
                if let (Some(sysctl), Some(up)) = (with_up, operations.peek()) {
                    self.set_container_up(&sysctl, up)?;
                    operations.next();
                }
                continue;
            }
            log::step(|| operation.to_string(), || self.apply_one(&operation))?;
        }
        Ok(())
    }

    fn apply_one(&mut self, operation: &Operation) -> Result<()> {
        match operation {
            Operation::CreateBridge { .. } => self.create_bridge(operation),
            Operation::SetHostLink { name, change } => self.set_host_link(name, *change),
            Operation::CreatePair { .. } => self.create_pair(operation),
            Operation::CreateVlanGateway { .. } => self.create_vlan_gateway(operation),
            Operation::JoinBridge { port, bridge } => {
                self.join_bridge(port, bridge).with_context(|| operation.to_string())
            }
            Operation::MarkPort { name, alias, flags } => {
                self.host.configure_port(name, alias, *flags).with_context(|| operation.to_string())
            }
            Operation::UnlockPort { name } => {
                self.host.unlock_port(name).with_context(|| operation.to_string())
            }
            Operation::PortVlans { name, first, last, action } => {
                self.port_vlans(name, (*first, *last), *action)
            }
            Operation::Sysctl { name, value, .. } => {
                self.set_host_sysctl(name, value);
                Ok(())
            }
            Operation::EnableForwarding { name } => self.enable_forwarding(name),
            Operation::AddAddress { .. } => self.add_address(operation),
            Operation::RemoveAddress { link, address } => {
                self.observe_ports();
                let index = self.index(Place::Host, link)?;
                let was_there = self
                    .host
                    .remove_address(index, *address)
                    .with_context(|| operation.to_string())?;
                if was_there {
                    let undo = SharedUndo::RestoreAddress(link.clone(), *address);
                    self.journal.note(Undo::Shared(undo));
                }
                Ok(())
            }
            Operation::ContainerUp { name } => {
                self.container.set_link_up(name).with_context(|| operation.to_string())
            }
            Operation::AddRoute { link, route } => {
                let index = self.index(Place::Container, link)?;
                self.container.add_route(index, route).with_context(|| operation.to_string())
            }
            Operation::AwaitPort { name } => wait::for_port(&mut self.host, name),
            Operation::AwaitAddresses { place, name, addresses } => {
                let (netlink, netns) = match place {
                    Place::Host => (&mut self.host, None),
                    Place::Container => (&mut self.container, Some(&self.netns)),
                };
                wait::for_addresses(netlink, netns, name, addresses)
            }
            // Setting the address it has makes the kernel announce all addresses of the link.
            Operation::Announce { name, mac } => {
                self.container.set_mac(name, *mac).with_context(|| operation.to_string())
            }
            Operation::WriteResolvConf { path, unfinished, text } => {
                resolv_conf::refuse_foreign(path, text)?;
                // From here on whatever is there is this run's.
                self.journal.note(Undo::RemoveResolvConf(path.clone(), unfinished.clone()));
                resolv_conf::write(path, unfinished, text)
            }
        }
    }

    fn create_bridge(&mut self, operation: &Operation) -> Result<()> {
        let Operation::CreateBridge { name, mac, mtu, vlan_filtering } = operation else {
            return Err(wrong_operation(operation));
        };
        let bridge = NewBridge { name, mac: *mac, mtu: *mtu, vlan_filtering: *vlan_filtering };
        match self.host.create_bridge(&bridge) {
            Ok(()) => {
                self.independent_ports.get_or_insert_default();
                self.journal.note(Undo::Shared(SharedUndo::RemoveBridge(name.clone())));
                Ok(())
            }
            Err(error) if *vlan_filtering && error.raw_errno() == Some(Errno::EOPNOTSUPP) => {
                Err(error.with_details("this kernel has no VLAN filtering on bridges"))
            }
            Err(error) => Err(error),
        }
    }

    fn create_pair(&mut self, operation: &Operation) -> Result<()> {
        let Operation::CreatePair { host, peer, bridge, mtu } = operation else {
            return Err(wrong_operation(operation));
        };
        let master = self.index(Place::Host, bridge)?;
        let pair = NewPair {
            host: NewEnd { name: &host.0, mac: host.1 },
            master: Some(master),
            peer: NewEnd { name: &peer.0, mac: peer.1 },
            netns: Some(self.netns.file()),
            mtu: *mtu,
        };
        let created = self.host.create_pair(&pair);
        // Anything but the kernel's own refusal leaves open whether the pair was made.
        let is_refused = created.as_ref().is_err_and(|error| error.is(Code::Kernel));
        if !is_refused {
            self.journal.note(Undo::RemovePair(host.0.clone(), host.1));
        }
        created
            .map_err(|error| match error.raw_errno() {
                Some(Errno::EXFULL) => Error::errno(Code::Kernel, Errno::EXFULL).context(format!(
                    "bridge {bridge:?} is full: the kernel gives a bridge at most 1023 ports"
                )),
                _ => error,
            })
            .with_context(|| operation.to_string())
    }

    fn create_vlan_gateway(&mut self, operation: &Operation) -> Result<()> {
        let Operation::CreateVlanGateway { gateway, port, mtu } = operation else {
            return Err(wrong_operation(operation));
        };
        let pair = NewPair {
            host: NewEnd { name: &gateway.0, mac: gateway.1 },
            master: None,
            peer: NewEnd { name: &port.0, mac: port.1 },
            netns: None,
            mtu: *mtu,
        };
        self.observe_ports();
        let created = self.host.create_pair(&pair);
        if !created.as_ref().is_err_and(|error| error.is(Code::Kernel)) {
            let undo = SharedUndo::RemoveVlanGateway(port.0.clone());
            self.journal.note(Undo::Shared(undo));
        }
        created.with_context(|| operation.to_string())
    }

    fn join_bridge(&mut self, port: &str, bridge: &str) -> Result<()> {
        let master = self.index(Place::Host, bridge)?;
        self.host.join_bridge(port, master)
    }

    fn port_vlans(
        &mut self,
        name: &str,
        (first, last): (VlanId, VlanId),
        action: VlanAction,
    ) -> Result<()> {
        let index = self.index(Place::Host, name)?;
        port_vlans(&mut self.host, index, (first, last, action)).with_context(|| {
            Operation::PortVlans { name: name.to_owned(), first, last, action }.to_string()
        })
    }

    fn add_address(&mut self, operation: &Operation) -> Result<()> {
        let Operation::AddAddress { place, link, address, detection } = operation else {
            return Err(wrong_operation(operation));
        };
        let index = self.index(*place, link)?;
        if *place == Place::Host {
            self.observe_ports();
        }
        let (netlink, netns) = match place {
            Place::Host => (&mut self.host, None),
            Place::Container => (&mut self.container, Some(&self.netns)),
        };
        match (netlink.add_address(index, *address, *detection), place) {
            (Ok(()), Place::Host) => {
                let undo = SharedUndo::RemoveAddress(link.clone(), *address);
                self.journal.note(Undo::Shared(undo));
                Ok(())
            }
            // Another ADD on the same bridge was quicker.
            (Err(error), Place::Host) if error.is_exists() => Ok(()),
            (Ok(()), Place::Container) => Ok(()),
            (Err(error), _) => {
                let error = error.context(operation);
                Err(refused::address(error, netlink, netns, (link, address)))
            }
        }
    }

    /// Forgets which index a link of the host had: it may have been removed and made anew.
    pub(crate) fn forget_indices(&mut self) {
        self.indices.clear();
    }

    fn index(&mut self, place: Place, name: &str) -> Result<u32> {
        let known = self.indices.iter().find(|(at, of, _)| *at == place && of == name);
        if let Some((_, _, index)) = known {
            return Ok(*index);
        }
        let netlink = match place {
            Place::Host => &mut self.host,
            Place::Container => &mut self.container,
        };
        let index = netlink.index_of(name)?;
        self.indices.push((place, name.to_owned(), index));
        Ok(index)
    }

    /// Looks the container interface's index up, for what will be done with it later.
    pub(crate) fn learn_container_index(&mut self, name: &str) -> Result<()> {
        self.index(Place::Container, name).map(|_index| ())
    }

    /// Notes the index of a link of the host that was looked up anyway.
    pub(crate) fn learn_index(&mut self, name: &str, index: u32) {
        self.indices.push((Place::Host, name.to_owned(), index));
    }

    /// Whether the bridge that this run has worked with is there no more.
    pub(crate) fn has_lost_bridge(&mut self) -> bool {
        let is_bridge = |(place, name, _): &&(Place, String, u32)| {
            *place == Place::Host && *name == self.bridge
        };
        let Some((_, name, index)) = self.indices.iter().find(is_bridge) else { return false };
        let found = self.host.find_link(name);
        found.is_ok_and(|link| link.is_none_or(|link| link.index != *index))
    }
}

/// A step was handed to the function of another: a defect, and never a success.
fn wrong_operation(operation: &Operation) -> Error {
    Error::new(Code::Internal, format!("not the operation to be done here: {operation}"))
}

/// Lets VLANs pass the port with this index, or no more.
pub(crate) fn port_vlans(
    host: &mut Netlink,
    index: u32,
    (first, last, action): (VlanId, VlanId, VlanAction),
) -> Result<()> {
    let kind = if action == VlanAction::AddAccess { VlanKind::Access } else { VlanKind::Tagged };
    let range = VlanRange { first, last, kind };
    let done = match action {
        VlanAction::Remove => match host.remove_port_vlans(index, range) {
            // A bridge without a default VLAN gives its ports none.
            Err(error) if error.is_not_found() => Ok(()),
            other => other,
        },
        VlanAction::AddAccess | VlanAction::AddTagged => host.add_port_vlans(index, range),
    };
    done.map_err(|error| match error.raw_errno() {
        Some(Errno::EOPNOTSUPP) => error
            .with_details("does the bridge filter VLANs (vlan_filtering), and can this kernel?"),
        _ => error,
    })
}
