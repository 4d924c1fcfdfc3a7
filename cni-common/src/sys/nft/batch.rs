//! A transaction as one batch of messages, and what became of it.

use netlink_packet_core::{DefaultNla, NLM_F_ACK};
use netlink_packet_netfilter::none::ControlMessage;
use netlink_packet_netfilter::{NetfilterHeader, NetfilterMessage, NetfilterProtoFamily};

use super::Refusal;
use crate::error::{Code, Error, Result};
use crate::nft::{Generation, Operation, encode};
use crate::sys::netfilter::{NFTABLES, NetfilterSocket};

/// `NFNL_BATCH_GENID` of linux/netfilter/nfnetlink.h: the attribute of a batch's begin.
const BATCH_GENERATION: u16 = 1;
/// `NFNL_MSG_BATCH_BEGIN` of the same.
const BATCH_BEGIN: u8 = 16;

/// Sends the operations as one batch and reads what became of it.
pub(super) fn transact(
    socket: &mut NetfilterSocket,
    operations: &[Operation],
    expected: Option<Generation>,
) -> Result<(), Refusal> {
    let mut batch = Vec::with_capacity(operations.len() + 2);
    batch.push((batch_begin(expected), 0));
    for (id, operation) in (1..).zip(operations) {
        let (message, flags) = encode(operation, id);
        // Errors are told without asking; that the last was reached says that all were.
        let is_last = batch.len() == operations.len();
        batch.push((message, if is_last { flags | NLM_F_ACK } else { flags }));
    }
    batch.push((control(ControlMessage::BatchEnd), 0));
    let statuses = socket.transact(&batch).map_err(|error| refused(operations, None, error))?;
    // The first error is the cause, the others may follow from it.
    match statuses.iter().find_map(|(position, status)| Some((*position, (*status)?))) {
        None => Ok(()),
        Some((position, errno)) => {
            let error = Error::errno(Code::Kernel, errno);
            Err(refused(operations, position.checked_sub(1), error))
        }
    }
}

fn refused(operations: &[Operation], index: Option<usize>, error: Error) -> Refusal {
    match index.and_then(|index| Some((index, operations.get(index)?))) {
        Some((index, operation)) => {
            Refusal { error: error.context(operation), operation: Some(index) }
        }
        None => Refusal { error: error.context("change the packet filter"), operation: None },
    }
}

fn batch_begin(expected: Option<Generation>) -> NetfilterMessage {
    match expected {
        None => control(ControlMessage::BatchBegin),
        Some(Generation(id)) => control(ControlMessage::Other {
            message_type: BATCH_BEGIN,
            attributes: vec![DefaultNla::new(BATCH_GENERATION, id.to_be_bytes().to_vec())],
        }),
    }
}

fn control(message: ControlMessage) -> NetfilterMessage {
    NetfilterMessage::new(NetfilterHeader::new(NetfilterProtoFamily::Unspec, 0, NFTABLES), message)
}
