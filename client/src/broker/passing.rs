//! Sends whole messages over a socket pair, each with at most one open file.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::retry_on_intr;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

/// The most bytes of a message.
const LONGEST: usize = 4_096;

/// Makes a pair of sockets that a new program does not inherit.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// Sends a message and a copy of a file, without blocking: it is an error if the socket has no room.
pub(crate) fn send(socket: impl AsFd, message: &[u8], file: Option<BorrowedFd<'_>>) -> io::Result<()> {
    if message.len() > LONGEST {
        return Err(io::Error::other("the message is too long"));
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !file.is_none_or(|_| control.push(SendAncillaryMessage::ScmRights(file.as_slice()))) {
        return Err(io::Error::other("a file too many"));
    }
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    retry_on_intr(|| sendmsg(&socket, &[IoSlice::new(message)], &mut control, flags))?;
    Ok(())
}

/// Waits for a message and the file that may come with it. `None` if the other end is closed.
pub(crate) fn receive(socket: impl AsFd) -> io::Result<Option<(Vec<u8>, Option<OwnedFd>)>> {
    let mut message = vec![0; LONGEST];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = retry_on_intr(|| {
        recvmsg(&socket, &mut [IoSliceMut::new(&mut message)], &mut control, RecvFlags::CMSG_CLOEXEC)
    })?;
    let file = control.drain().find_map(|part| match part {
        RecvAncillaryMessage::ScmRights(mut files) => files.next(),
        _ => None,
    });
    if received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
        return Err(io::Error::other("the message is too long"));
    }
    message.truncate(received.bytes);
    Ok((!message.is_empty()).then_some((message, file)))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_message_arrives_whole_with_its_file_and_a_closed_end_is_none() {
        let (here, there) = pair().unwrap();
        let (mut mine, theirs) = UnixStream::pair().unwrap();
        send(&here, b"one", Some(theirs.as_fd())).unwrap();
        send(&here, b"two", None).unwrap();
        drop(here);
        let (message, file) = receive(&there).unwrap().unwrap();
        assert_eq!(message, b"one");
        drop(theirs);
        UnixStream::from(file.unwrap()).write_all(b"through").unwrap();
        let mut text = String::new();
        mine.read_to_string(&mut text).unwrap();
        assert_eq!(text, "through");
        let (message, file) = receive(&there).unwrap().unwrap();
        assert!(message == b"two" && file.is_none());
        assert!(receive(&there).unwrap().is_none());
    }

    #[test]
    fn a_message_that_is_too_long_or_finds_no_room_is_refused_at_once() {
        let (here, there) = pair().unwrap();
        assert!(send(&here, &[0; LONGEST + 1], None).is_err());
        rustix::net::send(&here, &[0; LONGEST + 1], SendFlags::empty()).unwrap();
        assert!(receive(&there).is_err());
        assert!((0..100_000).any(|_| send(&here, &[0; LONGEST], None).is_err()));
    }
}
