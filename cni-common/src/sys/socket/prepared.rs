//! A request that somebody else sends by the socket, which has its answer all the same.

use netlink_packet_core::NLM_F_REQUEST;
use nix::errno::Errno;

use super::message::append;
use super::{Content, Protocol, Socket};
use crate::error::Result;

#[allow(private_bounds, reason = "a protocol is the business of `sys` alone")]
impl<P: Protocol> Socket<P> {
    /// A request as it is to be sent by this socket, and its sequence number.
    pub(in crate::sys) fn prepare(&mut self, message: &P::Message, flags: u16) -> (u32, Vec<u8>) {
        let sequence = self.next_sequence();
        let mut bytes = Vec::new();
        append(&mut bytes, message, (sequence, NLM_F_REQUEST | flags));
        (sequence, bytes)
    }

    /// How the request with this sequence number went, if that has been said: `None` within for an
    /// acknowledgement.
    pub(in crate::sys) fn status(&mut self, sequence: u32) -> Result<Option<Option<Errno>>> {
        let messages = self.receive()?.unwrap_or_default();
        Ok(messages.iter().find_map(|message| match message.content {
            Content::Status(status) if message.sequence == sequence => Some(status),
            _ => None,
        }))
    }
}
