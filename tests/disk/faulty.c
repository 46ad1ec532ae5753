/* Runs a program on a disk that fails when a test says so.
 *
 *     faulty PLAN PROGRAM ARGUMENTS...
 *
 * The program's calls that write to a database (pwrite64, fdatasync and what else changes a file's length) are
 * held by seccomp until a process beside it has looked into the file PLAN: each is let through, or fails as the
 * plan says. So nothing in the program knows of it: it runs as it always does, confined by its own sandbox too,
 * which needs no rights of whoever runs the test.
 *
 * A line of PLAN is `CALL ERRNO FIRST LAST FD`: of all such calls since the plan was changed, those from number
 * FIRST to number LAST fail; FD is -1 for any file. Instead of an error number, 0 lets the call through, and -1 kills
 * the program before the call is made. Each of these calls is a line in PLAN.log.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__x86_64__)
#define MACHINE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define MACHINE AUDIT_ARCH_AARCH64
#else
#error "this machine's seccomp is not known here"
#endif

#define RULES 16

static const struct {
    const char *name;
    int number;
} calls[] = {
    {"pwrite64", SYS_pwrite64},   {"fdatasync", SYS_fdatasync}, {"fsync", SYS_fsync},
    {"ftruncate", SYS_ftruncate}, {"fallocate", SYS_fallocate},
};
#define CALLS (sizeof calls / sizeof calls[0])

/* In the place of an error number: the program is killed. */
#define KILLED (-1)

struct rule {
    int call, error, fd;
    unsigned long first, last, seen;
};

static void die(const char *what) {
    fprintf(stderr, "faulty: %s: %s\n", what, strerror(errno));
    _exit(127);
}

/* From here on the calls above wait for whoever has the descriptor. */
static int hold_calls(void) {
    struct sock_filter program[2 + 2 + CALLS + 2] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MACHINE, 0, CALLS + 1),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    };
    size_t length = 3;
    for (size_t i = 0; i < CALLS; i++) {
        struct sock_filter test = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[i].number, CALLS - i, 0);
        program[length++] = test;
    }
    struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_filter hold = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
    program[length++] = allow;
    program[length++] = hold;
    struct sock_fprog whole = {.len = length, .filter = program};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) die("no new privileges");
    int held = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &whole);
    if (held < 0) die("seccomp");
    return held;
}

static void hand_over(int socket, int descriptor) {
    char byte = 0;
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &descriptor, sizeof(int));
    if (sendmsg(socket, &message, 0) != 1) die("handing over");
}

static int take_over(int socket) {
    char byte;
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    if (recvmsg(socket, &message, 0) != 1 || !CMSG_FIRSTHDR(&message)) _exit(127);
    int descriptor;
    memcpy(&descriptor, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
    return descriptor;
}

/* Reads the plan, if it is not the one that is known. */
static size_t read_plan(const char *path, char *known, size_t room, struct rule *rules, size_t count) {
    char text[2048] = "";
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file >= 0) {
        ssize_t length = read(file, text, sizeof text - 1);
        text[length > 0 ? length : 0] = 0;
        close(file);
    }
    if (!strncmp(text, known, room)) return count;
    snprintf(known, room, "%s", text);
    count = 0;
    for (char *line = strtok(text, "\n"); line && count < RULES; line = strtok(NULL, "\n")) {
        char name[32];
        struct rule rule = {.seen = 0, .call = -1};
        if (sscanf(line, "%31s %d %lu %lu %d", name, &rule.error, &rule.first, &rule.last, &rule.fd) != 5) continue;
        for (size_t i = 0; i < CALLS; i++)
            if (!strcmp(name, calls[i].name)) rule.call = calls[i].number;
        rules[count++] = rule;
    }
    return count;
}

/* The first rule that says what becomes of a call, if there is one. */
static const struct rule *verdict(struct rule *rules, size_t count, const struct seccomp_data *call) {
    const struct rule *found = NULL;
    for (size_t i = 0; i < count; i++) {
        struct rule *rule = &rules[i];
        if (rule->call != call->nr || (rule->fd >= 0 && rule->fd != (int)call->args[0])) continue;
        rule->seen++;
        if (!found && rule->seen >= rule->first && rule->seen <= rule->last) found = rule;
    }
    return found;
}

static void note(const char *path, const struct rule *rule) {
    const char *name = "";
    for (size_t i = 0; i < CALLS; i++)
        if (calls[i].number == rule->call) name = calls[i].name;
    int log = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (log < 0) return;
    dprintf(log, "%s %d\n", name, rule->error);
    close(log);
}

static void answer_calls(int held, const char *plan) {
    struct rule rules[RULES];
    size_t count = 0;
    char known[2048] = "";
    char log_path[4096];
    snprintf(log_path, sizeof log_path, "%s.log", plan);
    for (;;) {
        struct pollfd waiting = {.fd = held, .events = POLLIN};
        if (poll(&waiting, 1, -1) < 0 && errno != EINTR) _exit(1);
        if (waiting.revents & (POLLHUP | POLLERR)) _exit(0); /* nobody is left who could call */
        if (!(waiting.revents & POLLIN)) continue;
        struct seccomp_notif call = {0};
        if (ioctl(held, SECCOMP_IOCTL_NOTIF_RECV, &call)) continue; /* it was interrupted, or has died */
        count = read_plan(plan, known, sizeof known, rules, count);
        const struct rule *rule = verdict(rules, count, &call.data);
        if (rule) note(log_path, rule);
        if (rule && rule->error == KILLED) {
            kill(call.pid, SIGKILL);
            continue;
        }
        int error = rule ? rule->error : 0;
        struct seccomp_notif_resp answer = {.id = call.id, .error = -error};
        if (!error) answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
        ioctl(held, SECCOMP_IOCTL_NOTIF_SEND, &answer);
    }
}

int main(int count, char **arguments) {
    if (count < 3) {
        fprintf(stderr, "usage: faulty PLAN PROGRAM ARGUMENTS...\n");
        return 2;
    }
    int sockets[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets)) die("socketpair");
    pid_t child = fork();
    if (child < 0) die("fork");
    if (child == 0) {
        /* Nobody's child, so that the program has none that it does not know. */
        pid_t grandchild = fork();
        if (grandchild != 0) _exit(grandchild < 0);
        setsid();
        close(sockets[0]);
        int held = take_over(sockets[1]);
        int nothing = open("/dev/null", O_RDWR);
        for (int descriptor = 0; descriptor < 3; descriptor++) dup2(nothing, descriptor);
        answer_calls(held, arguments[1]);
    }
    waitpid(child, NULL, 0);
    int held = hold_calls();
    hand_over(sockets[0], held);
    close(held);
    execv(arguments[2], arguments + 2);
    die(arguments[2]);
}
