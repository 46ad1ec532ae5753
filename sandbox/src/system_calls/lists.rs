//! The lists of system calls. Calls that exist only on x86-64 stand apart; other machines have only their newer
//! forms.

#[allow(clippy::wildcard_imports, reason = "the whole file is its names")]
use nix::libc::*;

/// Calls that all programs need.
pub(super) const EVERYONE: &[i64] = &[
    // Memory
    SYS_brk,
    SYS_munmap,
    SYS_mremap,
    SYS_madvise,
    SYS_membarrier,
    // Threads and their time
    SYS_exit,
    SYS_exit_group,
    SYS_futex,
    SYS_get_robust_list,
    SYS_set_robust_list,
    SYS_set_tid_address,
    SYS_rseq,
    SYS_gettid,
    SYS_getpid,
    SYS_sched_yield,
    SYS_sched_getaffinity,
    SYS_getcpu,
    SYS_clock_gettime,
    SYS_clock_getres,
    SYS_clock_nanosleep,
    SYS_nanosleep,
    SYS_gettimeofday,
    SYS_restart_syscall,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_sigaltstack,
    // The identity of the process and the machine
    SYS_getuid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getegid,
    SYS_uname,
    SYS_sysinfo,
    SYS_getrandom,
    SYS_getrusage,
    // Waiting
    SYS_epoll_create1,
    SYS_epoll_ctl,
    SYS_epoll_pwait,
    SYS_epoll_pwait2,
    SYS_ppoll,
    SYS_pselect6,
    SYS_eventfd2,
    SYS_pipe2,
    SYS_timerfd_create,
    SYS_timerfd_settime,
    // Files; Landlock decides which
    SYS_openat,
    SYS_close,
    SYS_close_range,
    SYS_read,
    SYS_readv,
    SYS_pread64,
    SYS_preadv,
    SYS_write,
    SYS_writev,
    SYS_pwrite64,
    SYS_pwritev,
    SYS_lseek,
    SYS_fstat,
    SYS_newfstatat,
    SYS_statx,
    SYS_fstatfs,
    SYS_statfs,
    SYS_ftruncate,
    SYS_fallocate,
    SYS_fadvise64,
    SYS_fsync,
    SYS_fdatasync,
    SYS_fchmod,
    SYS_fchown,
    SYS_flock,
    SYS_dup,
    SYS_dup3,
    SYS_faccessat,
    SYS_faccessat2,
    SYS_readlinkat,
    SYS_getdents64,
    SYS_getcwd,
    SYS_mkdirat,
    SYS_unlinkat,
    SYS_renameat,
    SYS_renameat2,
    // Open sockets
    SYS_accept,
    SYS_accept4,
    SYS_shutdown,
    SYS_recvfrom,
    SYS_recvmsg,
    SYS_getsockname,
    SYS_getpeername,
    SYS_getsockopt,
];

/// The older forms of these calls on x86-64.
#[cfg(target_arch = "x86_64")]
pub(super) const EVERYONE_HERE: &[i64] = &[
    SYS_access,
    SYS_dup2,
    SYS_epoll_wait,
    SYS_getdents,
    SYS_lstat,
    SYS_mkdir,
    SYS_open,
    SYS_pipe,
    SYS_poll,
    SYS_readlink,
    SYS_rename,
    SYS_rmdir,
    SYS_select,
    SYS_stat,
    SYS_time,
    SYS_unlink,
];

/// No older forms exist.
#[cfg(not(target_arch = "x86_64"))]
pub(super) const EVERYONE_HERE: &[i64] = &[];

/// Further calls of the client.
pub(super) const CLIENT: &[i64] = &[SYS_connect, SYS_getppid, SYS_getpgid, SYS_getsid];

/// Further calls of its broker: for libraries of the system's name services, for looking names up, for the sockets of
/// clients, and for the end of its own client.
pub(super) const BROKER: &[i64] = &[
    SYS_mmap,
    SYS_mprotect,
    SYS_connect,
    SYS_bind,
    SYS_listen,
    SYS_recvmmsg,
    SYS_wait4,
    SYS_waitid,
    SYS_getppid,
    SYS_getpgid,
    SYS_getsid,
    SYS_getresuid,
    SYS_getresgid,
    SYS_getgroups,
];

/// The older form of one of them on x86-64.
#[cfg(target_arch = "x86_64")]
pub(super) const BROKER_HERE: &[i64] = &[SYS_getpgrp];

/// No older forms exist.
#[cfg(not(target_arch = "x86_64"))]
pub(super) const BROKER_HERE: &[i64] = &[];

/// Calls for sending, with the number of the argument that holds the flags.
pub(super) const SENDING: &[(i64, u8)] = &[(SYS_sendto, 3), (SYS_sendmsg, 2)];

/// The same, for libraries of the system's name services.
pub(super) const BROKER_SENDING: &[(i64, u8)] = &[(SYS_sendmmsg, 3)];

/// Commands of `fcntl` that are forbidden: with `F_SETOWN`, `F_SETSIG` and `F_SETOWN_EX` the kernel sends a
/// signal, even `SIGKILL`, to any process of the user when something can be read.
pub(super) const SIGNALLING: &[i32] = &[F_SETOWN, 10, 15];

/// TCP options that may be set. They leave out those for fast open, and `TCP_ULP`, which puts another protocol on
/// the socket.
pub(super) const TCP_OPTIONS: &[i32] =
    &[TCP_NODELAY, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_USER_TIMEOUT];

/// Kinds of sockets that the client may make on a network, with their protocols: TCP. Landlock takes no other
/// protocol for it, not even multipath TCP, which reaches whatever listens by TCP.
pub(super) const TCP_SOCKETS: &[(i32, i32)] = &[(SOCK_STREAM, 0), (SOCK_STREAM, IPPROTO_TCP)];

/// The same for its broker, which asks name servers: TCP and UDP.
pub(super) const LOOKUP_SOCKETS: &[(i32, i32)] =
    &[(SOCK_STREAM, 0), (SOCK_STREAM, IPPROTO_TCP), (SOCK_DGRAM, 0), (SOCK_DGRAM, IPPROTO_UDP)];

/// `ioctl` requests allowed on any descriptor: `FIONBIO`, `FIONREAD`, `FIOCLEX`, and `TCGETS`, which tells if it
/// is a terminal.
pub(super) const DESCRIPTOR_REQUESTS: &[u32] = &[0x5421, 0x541B, 0x5451, 0x5401];

/// The same, and those that drive a terminal: `TCSETS`, `TCSETSW`, `TCSETSF`, their four forms with speeds,
/// `TIOCGWINSZ` and `TIOCGPGRP`. `TIOCSTI`, which simulates typing, is left out.
pub(super) const TERMINAL_REQUESTS: &[u32] = &[
    0x5421,
    0x541B,
    0x5451,
    0x5401,
    0x5402,
    0x5403,
    0x5404,
    0x802C_542A,
    0x402C_542B,
    0x402C_542C,
    0x402C_542D,
    0x5413,
    0x540F,
];
