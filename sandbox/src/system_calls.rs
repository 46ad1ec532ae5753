//! seccomp: the system calls that a program needs. Any other call ends the process; in the client it is refused
//! instead.
//!
//! The lists were made from the calls that the programs make in their tests, widened by the calls that the same
//! functions make in other versions of glibc. Calls about memory, threads, time and open files are allowed with
//! any arguments if they can do no harm outside the process.

mod lists;

use std::collections::BTreeMap;

use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter,
};

/// The program whose list of system calls applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SystemCalls {
    /// The server: it listens already, and connects to the TTP's Unix socket.
    Server,
    /// The TTP: it listens already, and connects nowhere.
    Ttp,
    /// The client: it connects by TCP, accepts on a socket that it was handed, and drives a terminal. Other calls are
    /// refused and do not end it.
    Client,
    /// The client's broker: it looks names up, makes and finds the sockets of clients, and watches its own client.
    /// Other calls are refused and do not end it, because it runs code of the system's name services that we do not
    /// know.
    Broker {
        /// The process that it may signal.
        client: u32,
    },
}

/// Masks the flags out of the second argument of `socket`.
const KIND_OF_SOCKET: u64 = 0xF;

/// Conditions by system call. A call is allowed if one of its conditions is true, or if it has none.
type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Gives this thread a filter that allows everything, or says why that is not possible.
pub(crate) fn try_filter() -> Result<(), String> {
    let text = |error: seccompiler::Error| error.to_string();
    let everything =
        program(BTreeMap::new(), SeccompAction::Allow, SeccompAction::KillProcess).map_err(text)?;
    apply_filter(&everything).map_err(text)
}

impl SystemCalls {
    /// Forbids this thread, and those that it starts, all other calls, or says why that is not possible.
    pub(crate) fn enforce(self) -> Result<(), String> {
        let text = |error: seccompiler::Error| error.to_string();
        let refusal = match self {
            Self::Server | Self::Ttp => SeccompAction::KillProcess,
            Self::Client | Self::Broker { .. } => SeccompAction::Errno(libc::EPERM.cast_unsigned()),
        };
        let allowed = program(self.rules().map_err(text)?, refusal, SeccompAction::Allow).map_err(text)?;
        // A filter cannot look into the arguments of clone3. When it is missing, glibc calls clone, which the list
        // above allows for threads.
        let missing = SeccompAction::Errno(libc::ENOSYS.cast_unsigned());
        let unknown =
            program(unconditional(&[libc::SYS_clone3]), SeccompAction::Allow, missing).map_err(text)?;
        apply_filter(&unknown).and_then(|()| apply_filter(&allowed)).map_err(text)
    }

    fn rules(self) -> Result<Rules, seccompiler::Error> {
        let mut rules = unconditional(lists::EVERYONE);
        rules.extend(unconditional(lists::EVERYONE_HERE));
        // The filter above answers this call.
        rules.extend(unconditional(&[libc::SYS_clone3]));
        let mut allow = |call, rule| rules.entry(call).or_default().push(rule);

        let thread = u64::from(libc::CLONE_THREAD.cast_unsigned());
        allow(libc::SYS_clone, when(0, SeccompCmpOp::MaskedEq(thread), thread)?);
        allow(libc::SYS_tgkill, when(0, SeccompCmpOp::Eq, u64::from(std::process::id()))?);
        allow(libc::SYS_prctl, when(0, SeccompCmpOp::Eq, number(libc::PR_SET_NAME))?);
        allow(libc::SYS_prctl, when(0, SeccompCmpOp::Eq, number(libc::PR_SET_VMA))?);
        // Limits may be read but not changed.
        allow(libc::SYS_prlimit64, when_word(2, SeccompCmpOp::Eq, 0)?);
        let mut others: Vec<_> =
            lists::SIGNALLING.iter().map(|command| (1, SeccompCmpOp::Ne, number(*command))).collect();
        others.push((1, SeccompCmpOp::Ne, number(libc::F_SETFL)));
        allow(libc::SYS_fcntl, when_all(&others)?);
        // A terminal with O_ASYNC sends signals to the process in the foreground.
        let no_signal = (2, SeccompCmpOp::MaskedEq(number(libc::O_ASYNC)), 0);
        allow(libc::SYS_fcntl, when_all(&[(1, SeccompCmpOp::Eq, number(libc::F_SETFL)), no_signal])?);
        for request in self.terminal_requests() {
            allow(libc::SYS_ioctl, when(1, SeccompCmpOp::Eq, u64::from(*request))?);
        }
        if !matches!(self, Self::Broker { .. }) {
            // No memory becomes code.
            let executable = number(libc::PROT_EXEC);
            allow(libc::SYS_mmap, when(2, SeccompCmpOp::MaskedEq(executable), 0)?);
            allow(libc::SYS_mprotect, when(2, SeccompCmpOp::MaskedEq(executable), 0)?);
        }
        match self {
            Self::Ttp => {}
            Self::Server => rules.extend(unconditional(&[libc::SYS_connect])),
            Self::Client => {
                // Ctrl+Z stops the whole foreground job.
                let stop = number(libc::SIGTSTP);
                allow(libc::SYS_kill, when_all(&[(0, SeccompCmpOp::Eq, 0), (1, SeccompCmpOp::Eq, stop)])?);
                rules.extend(unconditional(lists::CLIENT));
            }
            Self::Broker { client } => {
                allow(libc::SYS_kill, when(0, SeccompCmpOp::Eq, u64::from(client))?);
                rules.extend(unconditional(lists::BROKER));
                rules.extend(unconditional(lists::BROKER_HERE));
            }
        }
        self.add_sockets(&mut rules)?;
        Ok(rules)
    }

    /// Adds what this program may do with sockets beyond what all programs may.
    fn add_sockets(self, rules: &mut Rules) -> Result<(), seccompiler::Error> {
        let mut allow = |call, rule| rules.entry(call).or_default().push(rule);
        let local = (0, SeccompCmpOp::Eq, number(libc::AF_UNIX));
        // Not of datagrams: one of such a pair can be connected to something else.
        for kind in [libc::SOCK_STREAM, libc::SOCK_SEQPACKET] {
            let kind = (1, SeccompCmpOp::MaskedEq(KIND_OF_SOCKET), number(kind));
            allow(libc::SYS_socketpair, when_all(&[local.clone(), kind])?);
        }
        if matches!(self, Self::Server | Self::Broker { .. }) {
            allow(libc::SYS_socket, when_all(&[local])?);
        }
        if let Self::Broker { .. } = self {
            // It tells the lookup of names which addresses this machine has.
            let netlink = (0, SeccompCmpOp::Eq, number(libc::AF_NETLINK));
            allow(
                libc::SYS_socket,
                when_all(&[netlink, (2, SeccompCmpOp::Eq, number(libc::NETLINK_ROUTE))])?,
            );
        }
        for family in [libc::AF_INET, libc::AF_INET6] {
            for (kind, protocol) in self.network_sockets() {
                let conditions = [
                    (0, SeccompCmpOp::Eq, number(family)),
                    (1, SeccompCmpOp::MaskedEq(KIND_OF_SOCKET), number(*kind)),
                    (2, SeccompCmpOp::Eq, number(*protocol)),
                ];
                allow(libc::SYS_socket, when_all(&conditions)?);
            }
        }
        // Sending can connect as well (TCP fast open), which Landlock does not notice.
        let fast_open = SeccompCmpOp::MaskedEq(number(libc::MSG_FASTOPEN));
        let others = if let Self::Broker { .. } = self { lists::BROKER_SENDING } else { &[] };
        for (call, flags) in lists::SENDING.iter().chain(others) {
            allow(*call, when(*flags, fast_open.clone(), 0)?);
        }
        let level = number(libc::IPPROTO_TCP);
        allow(libc::SYS_setsockopt, when(1, SeccompCmpOp::Ne, level)?);
        for option in lists::TCP_OPTIONS {
            let conditions = [(1, SeccompCmpOp::Eq, level), (2, SeccompCmpOp::Eq, number(*option))];
            allow(libc::SYS_setsockopt, when_all(&conditions)?);
        }
        Ok(())
    }

    fn terminal_requests(self) -> &'static [u32] {
        match self {
            Self::Server | Self::Ttp => lists::DESCRIPTOR_REQUESTS,
            Self::Client | Self::Broker { .. } => lists::TERMINAL_REQUESTS,
        }
    }

    fn network_sockets(self) -> &'static [(i32, i32)] {
        match self {
            Self::Server | Self::Ttp => &[],
            Self::Client => lists::TCP_SOCKETS,
            Self::Broker { .. } => lists::LOOKUP_SOCKETS,
        }
    }
}

fn program(
    rules: Rules,
    otherwise: SeccompAction,
    then: SeccompAction,
) -> Result<BpfProgram, seccompiler::Error> {
    let machine = TargetArch::try_from(std::env::consts::ARCH)?;
    Ok(SeccompFilter::new(rules, otherwise, then, machine)?.try_into()?)
}

fn unconditional(calls: &[i64]) -> Rules {
    calls.iter().map(|call| (*call, Vec::new())).collect()
}

/// Compares the lower half of an argument, which is all of an `int`.
fn when(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompRule, seccompiler::Error> {
    when_all(&[(argument, operator, value)])
}

/// True if all conditions are true.
fn when_all(conditions: &[(u8, SeccompCmpOp, u64)]) -> Result<SeccompRule, seccompiler::Error> {
    let conditions: Result<_, _> = conditions
        .iter()
        .map(|(argument, operator, value)| {
            SeccompCondition::new(*argument, SeccompCmpArgLen::Dword, operator.clone(), *value)
        })
        .collect();
    Ok(SeccompRule::new(conditions?)?)
}

/// Compares a whole argument, such as a pointer.
fn when_word(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompRule, seccompiler::Error> {
    let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Qword, operator, value)?;
    Ok(SeccompRule::new(vec![condition])?)
}

fn number(value: i32) -> u64 {
    u64::from(value.cast_unsigned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BROKER: SystemCalls = SystemCalls::Broker { client: 7 };
    const PROGRAMS: [SystemCalls; 4] = [SystemCalls::Server, SystemCalls::Ttp, SystemCalls::Client, BROKER];

    #[test]
    fn no_program_keeps_a_call_that_gives_rights_or_reaches_into_others() {
        for program in PROGRAMS {
            let rules = program.rules().unwrap();
            for call in [
                libc::SYS_execve,
                libc::SYS_execveat,
                libc::SYS_ptrace,
                libc::SYS_process_vm_readv,
                libc::SYS_process_vm_writev,
                libc::SYS_pidfd_getfd,
                libc::SYS_mount,
                libc::SYS_unshare,
                libc::SYS_setns,
                libc::SYS_bpf,
                libc::SYS_perf_event_open,
                libc::SYS_keyctl,
                libc::SYS_io_uring_setup,
                libc::SYS_userfaultfd,
                libc::SYS_memfd_create,
                libc::SYS_seccomp,
                libc::SYS_setuid,
                libc::SYS_setresuid,
                libc::SYS_truncate,
                libc::SYS_fchownat,
                libc::SYS_linkat,
                libc::SYS_symlinkat,
                libc::SYS_mknodat,
            ] {
                assert!(!rules.contains_key(&call), "{program:?} keeps {call}");
            }
            // A call with conditions must not have lost them: no rule would mean that everything is allowed.
            for call in [
                libc::SYS_clone,
                libc::SYS_tgkill,
                libc::SYS_prctl,
                libc::SYS_prlimit64,
                libc::SYS_ioctl,
                libc::SYS_fcntl,
                libc::SYS_sendto,
                libc::SYS_sendmsg,
                libc::SYS_setsockopt,
                libc::SYS_socketpair,
            ] {
                assert!(
                    rules.get(&call).is_some_and(|conditions| !conditions.is_empty()),
                    "{program:?} {call}"
                );
            }
        }
    }

    #[test]
    fn only_the_broker_sends_many_at_once_and_only_client_and_broker_signal_under_conditions() {
        for (call, programs) in
            [(libc::SYS_sendmmsg, vec![BROKER]), (libc::SYS_kill, vec![SystemCalls::Client, BROKER])]
        {
            for program in PROGRAMS {
                let rules = program.rules().unwrap();
                let conditions = rules.get(&call);
                assert_eq!(conditions.is_some(), programs.contains(&program), "{program:?} {call}");
                assert!(conditions.is_none_or(|conditions| !conditions.is_empty()), "{program:?} {call}");
            }
        }
    }

    #[test]
    fn only_the_broker_binds_and_makes_code_and_the_ttp_connects_nowhere() {
        for (program, calls) in [
            (SystemCalls::Server, vec![libc::SYS_bind, libc::SYS_listen]),
            (
                SystemCalls::Client,
                vec![libc::SYS_bind, libc::SYS_listen, libc::SYS_chmod, libc::SYS_fchmodat],
            ),
            (SystemCalls::Ttp, vec![libc::SYS_bind, libc::SYS_listen, libc::SYS_socket, libc::SYS_connect]),
        ] {
            let rules = program.rules().unwrap();
            assert!(calls.iter().all(|call| !rules.contains_key(call)), "{program:?}");
            for call in [libc::SYS_mmap, libc::SYS_mprotect] {
                assert!(!rules[&call].is_empty(), "{program:?} {call}");
            }
        }
    }
}
