// SPDX-License-Identifier: Apache-2.0
// The default profile of moby as data: the system calls that a step without extra rights may make. Facts as of
// moby/profiles, summer 2026, evaluated for kernels newer than 4.8, where ptrace cannot be used to get around a filter.
// Calls that come with a capability are listed with it.
#include "sandbox/seccomp_profile.h"

namespace cbuild::sandbox {
namespace {

// clang-format off
constexpr const char* kAllowed[] = {
    "_llseek", "_newselect", "accept", "accept4", "access", "adjtimex", "alarm", "bind", "brk", "capget",
    "capset", "chdir", "chmod", "chown", "chown32", "clock_adjtime", "clock_adjtime64", "clock_getres",
    "clock_getres_time64", "clock_gettime", "clock_gettime64", "clock_nanosleep", "clock_nanosleep_time64",
    "close", "close_range", "connect", "copy_file_range", "creat", "dup", "dup2", "dup3", "epoll_create",
    "epoll_create1", "epoll_ctl", "epoll_ctl_old", "epoll_pwait", "epoll_pwait2", "epoll_wait",
    "epoll_wait_old", "eventfd", "eventfd2", "execve", "execveat", "exit", "exit_group", "faccessat",
    "faccessat2", "fadvise64", "fadvise64_64", "fallocate", "fanotify_mark", "fchdir", "fchmod", "fchmodat",
    "fchown", "fchown32", "fchownat", "fcntl", "fcntl64", "fdatasync", "fgetxattr", "flistxattr", "flock",
    "fork", "fremovexattr", "fsetxattr", "fstat", "fstat64", "fstatat64", "fstatfs", "fstatfs64", "fsync",
    "ftruncate", "ftruncate64", "futex", "futex_time64", "futex_waitv", "futimesat", "get_robust_list",
    "get_thread_area", "getcpu", "getcwd", "getdents", "getdents64", "getegid", "getegid32", "geteuid",
    "geteuid32", "getgid", "getgid32", "getgroups", "getgroups32", "getitimer", "getpeername", "getpgid",
    "getpgrp", "getpid", "getppid", "getpriority", "getrandom", "getresgid", "getresgid32", "getresuid",
    "getresuid32", "getrlimit", "getrusage", "getsid", "getsockname", "getsockopt", "gettid",
    "gettimeofday", "getuid", "getuid32", "getxattr", "inotify_add_watch", "inotify_init", "inotify_init1",
    "inotify_rm_watch", "io_cancel", "io_destroy", "io_getevents", "io_pgetevents", "io_pgetevents_time64",
    "io_setup", "io_submit", "ioctl", "ioprio_get", "ioprio_set", "ipc", "kill", "landlock_add_rule",
    "landlock_create_ruleset", "landlock_restrict_self", "lchown", "lchown32", "lgetxattr", "link",
    "linkat", "listen", "listxattr", "llistxattr", "lremovexattr", "lseek", "lsetxattr", "lstat", "lstat64",
    "madvise", "membarrier", "memfd_create", "memfd_secret", "mincore", "mkdir", "mkdirat", "mknod",
    "mknodat", "mlock", "mlock2", "mlockall", "mmap", "mmap2", "mprotect", "mq_getsetattr", "mq_notify",
    "mq_open", "mq_timedreceive", "mq_timedreceive_time64", "mq_timedsend", "mq_timedsend_time64",
    "mq_unlink", "mremap", "msgctl", "msgget", "msgrcv", "msgsnd", "msync", "munlock", "munlockall",
    "munmap", "name_to_handle_at", "nanosleep", "newfstatat", "open", "openat", "openat2", "pause",
    "pidfd_open", "pidfd_send_signal", "pipe", "pipe2", "pkey_alloc", "pkey_free", "pkey_mprotect", "poll",
    "ppoll", "ppoll_time64", "prctl", "pread64", "preadv", "preadv2", "prlimit64", "process_mrelease",
    "pselect6", "pselect6_time64", "pwrite64", "pwritev", "pwritev2", "read", "readahead", "readlink",
    "readlinkat", "readv", "recv", "recvfrom", "recvmmsg", "recvmmsg_time64", "recvmsg", "remap_file_pages",
    "removexattr", "rename", "renameat", "renameat2", "restart_syscall", "rmdir", "rseq", "rt_sigaction",
    "rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn", "rt_sigsuspend",
    "rt_sigtimedwait", "rt_sigtimedwait_time64", "rt_tgsigqueueinfo", "sched_get_priority_max",
    "sched_get_priority_min", "sched_getaffinity", "sched_getattr", "sched_getparam", "sched_getscheduler",
    "sched_rr_get_interval", "sched_rr_get_interval_time64", "sched_setaffinity", "sched_setattr",
    "sched_setparam", "sched_setscheduler", "sched_yield", "seccomp", "select", "semctl", "semget", "semop",
    "semtimedop", "semtimedop_time64", "send", "sendfile", "sendfile64", "sendmmsg", "sendmsg", "sendto",
    "set_robust_list", "set_thread_area", "set_tid_address", "setfsgid", "setfsgid32", "setfsuid",
    "setfsuid32", "setgid", "setgid32", "setgroups", "setgroups32", "setitimer", "setpgid", "setpriority",
    "setregid", "setregid32", "setresgid", "setresgid32", "setresuid", "setresuid32", "setreuid",
    "setreuid32", "setrlimit", "setsid", "setsockopt", "setuid", "setuid32", "setxattr", "shmat", "shmctl",
    "shmdt", "shmget", "shutdown", "sigaltstack", "signalfd", "signalfd4", "sigprocmask", "sigreturn",
    "socketcall", "socketpair", "splice", "stat", "stat64", "statfs", "statfs64", "statx", "symlink",
    "symlinkat", "sync", "sync_file_range", "syncfs", "sysinfo", "tee", "tgkill", "time", "timer_create",
    "timer_delete", "timer_getoverrun", "timer_gettime", "timer_gettime64", "timer_settime",
    "timer_settime64", "timerfd_create", "timerfd_gettime", "timerfd_gettime64", "timerfd_settime",
    "timerfd_settime64", "times", "tkill", "truncate", "truncate64", "ugetrlimit", "umask", "uname",
    "unlink", "unlinkat", "utime", "utimensat", "utimensat_time64", "utimes", "vfork", "vmsplice", "wait4",
    "waitid", "waitpid", "write", "writev",
    // since 4.8
    "process_vm_readv", "process_vm_writev", "ptrace",
    // of single architectures; unknown to all others
    "arch_prctl", "modify_ldt", "uretprobe", "arm_fadvise64_64", "arm_sync_file_range", "sync_file_range2", "breakpoint",
    "cacheflush", "set_tls", "riscv_flush_icache", "riscv_hwprobe", "s390_pci_mmio_read", "s390_pci_mmio_write",
    "s390_runtime_instr",
};

// Numbers from 424 on are the same on all architectures, so these need no library that knows them.
constexpr NumberedCall kAllowedNew[] = {
    {"cachestat", 451}, {"fchmodat2", 452}, {"map_shadow_stack", 453}, {"futex_wake", 454},
    {"futex_wait", 455}, {"futex_requeue", 456}, {"statmount", 457}, {"listmount", 458}, {"mseal", 462},
    {"setxattrat", 463}, {"getxattrat", 464}, {"listxattrat", 465}, {"removexattrat", 466},
};

constexpr ConditionalCall kConditional[] = {
    {"socket", Verdict::socket_family},
    {"personality", Verdict::personality},
    {"clone", Verdict::clone_flags},
    {"clone3", Verdict::missing},
};

constexpr const char* kDacReadSearch[] = {"open_by_handle_at"};
constexpr const char* kSysAdmin[] = {
    "bpf", "clone", "clone3", "fanotify_init", "fsconfig", "fsmount", "fsopen", "fspick", "lookup_dcookie", "mount",
    "mount_setattr", "move_mount", "open_tree", "perf_event_open", "quotactl", "quotactl_fd", "setdomainname",
    "sethostname", "setns", "syslog", "umount", "umount2", "unshare",
};
constexpr const char* kSysBoot[] = {"reboot"};
constexpr const char* kSysChroot[] = {"chroot"};
constexpr const char* kSysModule[] = {"delete_module", "init_module", "finit_module"};
constexpr const char* kSysPacct[] = {"acct"};
constexpr const char* kSysPtrace[] = {"kcmp", "pidfd_getfd", "process_madvise"};
constexpr const char* kSysRawio[] = {"iopl", "ioperm"};
constexpr const char* kSysTime[] = {"settimeofday", "stime", "clock_settime", "clock_settime64"};
constexpr const char* kSysTtyConfig[] = {"vhangup"};
constexpr const char* kSysNice[] = {"get_mempolicy", "mbind", "set_mempolicy", "set_mempolicy_home_node"};
constexpr const char* kSyslog[] = {"syslog"};
constexpr const char* kBpf[] = {"bpf"};
constexpr const char* kPerfmon[] = {"perf_event_open"};

constexpr CallsOfCapability kOfCapabilities[] = {
    {"DAC_READ_SEARCH", kDacReadSearch}, {"SYS_ADMIN", kSysAdmin},  {"SYS_BOOT", kSysBoot},
    {"SYS_CHROOT", kSysChroot},          {"SYS_MODULE", kSysModule}, {"SYS_PACCT", kSysPacct},
    {"SYS_PTRACE", kSysPtrace},          {"SYS_RAWIO", kSysRawio},   {"SYS_TIME", kSysTime},
    {"SYS_TTY_CONFIG", kSysTtyConfig},   {"SYS_NICE", kSysNice},     {"SYSLOG", kSyslog},
    {"BPF", kBpf},                       {"PERFMON", kPerfmon},
};

// i386 got direct socket and System V IPC calls late; libseccomp gives pseudo numbers for these names.
constexpr NumberedCall kX86Direct[] = {
    {"socket", 359},
    {"socketpair", 360},  {"bind", 361},        {"connect", 362},     {"listen", 363},   {"accept4", 364},
    {"getsockopt", 365},  {"setsockopt", 366},  {"getsockname", 367}, {"getpeername", 368}, {"sendto", 369},
    {"sendmsg", 370},     {"recvfrom", 371},    {"recvmsg", 372},     {"shutdown", 373}, {"semget", 393},
    {"semctl", 394},      {"shmget", 395},      {"shmctl", 396},      {"shmat", 397},    {"shmdt", 398},
    {"msgget", 399},      {"msgsnd", 400},      {"msgrcv", 401},      {"msgctl", 402},
};
// clang-format on

}  // namespace

std::span<const char* const> allowed_calls() { return kAllowed; }
std::span<const NumberedCall> allowed_new_calls() { return kAllowedNew; }
std::span<const ConditionalCall> conditional_calls() { return kConditional; }
std::span<const CallsOfCapability> calls_of_capabilities() { return kOfCapabilities; }
std::span<const NumberedCall> x86_direct_calls() { return kX86Direct; }

}  // namespace cbuild::sandbox
