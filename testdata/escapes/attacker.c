// SPDX-License-Identifier: Apache-2.0
// What a hostile image brings along: each command tries one way out of a step and prints what it got. GUARD, the first
// argument, is a directory of the host; whoever reads GUARD/secret or writes below it has escaped.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static const char *guard;

/// Prints the secret if `dir` leads to it, and leaves a file there.
static void look_for_guard(int dir, const char *prefix) {
  char path[4096];
  snprintf(path, sizeof path, "%s%s/secret", prefix, guard);
  const int fd = openat(dir, path, O_RDONLY | O_NONBLOCK);
  if (fd >= 0) {
    char text[64] = {0};
    if (read(fd, text, sizeof text - 1) > 0) printf("ESCAPED: read %s: %s\n", path, text);
    close(fd);
  }
  snprintf(path, sizeof path, "%s%s/open/by-attacker", prefix, guard);
  const int made = openat(dir, path, O_WRONLY | O_CREAT, 0644);
  if (made >= 0) printf("ESCAPED: made %s\n", path);
}

/// Every descriptor that the step was started with.
static void descriptors(void) {
  for (int fd = 0; fd < 1024; ++fd) {
    struct stat info;
    if (fstat(fd, &info) != 0) continue;
    if (fd > 2) printf("ESCAPED: descriptor %d is open\n", fd);
    if (S_ISDIR(info.st_mode)) look_for_guard(fd, "../../../../../../..");
  }
}

/// The roots, directories and files of every process that can be seen.
static void processes(void) {
  DIR *proc = opendir("/proc");
  for (struct dirent *entry; proc != NULL && (entry = readdir(proc)) != NULL;) {
    if (entry->d_name[0] < '0' || entry->d_name[0] > '9') continue;
    char prefix[64];
    snprintf(prefix, sizeof prefix, "/proc/%.10s/root", entry->d_name);
    look_for_guard(AT_FDCWD, prefix);
    snprintf(prefix, sizeof prefix, "/proc/%.10s/cwd/../../../../../..", entry->d_name);
    look_for_guard(AT_FDCWD, prefix);
    for (int fd = 3; fd < 64; ++fd) {
      snprintf(prefix, sizeof prefix, "/proc/%.10s/fd/%d/../../../../../..", entry->d_name, fd);
      look_for_guard(AT_FDCWD, prefix);
    }
  }
}

/// The oldest way out: a root directory that is below the one a descriptor is open on.
static void change_root(void) {
  const int top = open("/", O_RDONLY | O_DIRECTORY);
  mkdir("/below", 0755);
  if (chroot("/below") != 0 || fchdir(top) != 0) printf("chroot: %s\n", strerror(errno));
  for (int i = 0; i < 64; ++i)
    if (chdir("..") != 0) break;
  look_for_guard(AT_FDCWD, ".");
  if (chroot(".") == 0) look_for_guard(AT_FDCWD, "");
}

static void say(const char *call, long result) {
  printf(result < 0 ? "%s: %s\n" : "ESCAPED: %s succeeds\n", call, strerror(errno));
}

/// System calls that reach other namespaces or make mounts.
static void calls(void) {
  say("mount", mount("none", "/tmp", "tmpfs", 0, NULL));
  say("unshare user", unshare(CLONE_NEWUSER));
  say("unshare mount", unshare(CLONE_NEWNS));
  say("open_tree clone", syscall(SYS_open_tree, AT_FDCWD, "/", 1 | O_CLOEXEC));
  say("fsopen", syscall(SYS_fsopen, "tmpfs", 0));
  say("pivot_root", syscall(SYS_pivot_root, "/", "/"));
  const int other = open("/proc/1/ns/mnt", O_RDONLY);
  say("setns", other < 0 ? -1 : setns(other, CLONE_NEWNS));
  say("bpf", syscall(SYS_bpf, 0, NULL, 0));
  say("kexec_load", syscall(SYS_kexec_load, 0, 0, NULL, 0));
  say("init_module", syscall(SYS_init_module, NULL, 0, ""));
  say("add_key", syscall(SYS_add_key, "user", "k", "v", 1, -4));
}

/// Files by number instead of by name, from the root directory of the disk up.
static void handles(void) {
  struct {
    struct file_handle head;
    unsigned char bytes[8];
  } handle = {{8, 1, {}}, {2, 0, 0, 0, 0, 0, 0, 0}};
  const int here = open("/", O_RDONLY | O_DIRECTORY);
  const int fd = open_by_handle_at(here, &handle.head, O_RDONLY);
  if (fd >= 0)
    look_for_guard(fd, ".");
  else
    printf("open_by_handle_at: %s\n", strerror(errno));
}

/// The disks of the machine, as device nodes that the step makes.
static void disks(void) {
  static const int majors[] = {7, 8, 252, 253, 254, 259};
  int opened = 0;
  for (unsigned i = 0; i < sizeof majors / sizeof *majors; ++i)
    for (int minor = 0; minor < 4; ++minor) {
      unlink("/tmp/disk");
      if (mknod("/tmp/disk", S_IFBLK | 0600, makedev(majors[i], minor)) != 0) continue;
      const int fd = open("/tmp/disk", O_RDONLY | O_NONBLOCK);
      opened += fd >= 0;
      if (fd >= 0) close(fd);
    }
  unlink("/tmp/disk");
  unlink("/tmp/memory");
  if (mknod("/tmp/memory", S_IFCHR | 0600, makedev(1, 1)) == 0 && open("/tmp/memory", O_RDONLY) >= 0) ++opened;
  unlink("/tmp/memory");
  printf(opened > 0 ? "ESCAPED: %d devices opened\n" : "devices opened: %d\n", opened);
}

/// Settings of the whole machine. What is written is what was there, so that a machine that allows it is not harmed.
static void settings(void) {
  static const char *const files[] = {"/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/vm/overcommit_memory",
                                      "/sys/kernel/uevent_helper", "/sys/fs/cgroup/release_agent", "/sys/fs/cgroup/memory/release_agent",
                                      "/sys/fs/cgroup/systemd/release_agent", "/sys/fs/cgroup/cgroup.procs", "/proc/irq/default_smp_affinity"};
  for (unsigned i = 0; i < sizeof files / sizeof *files; ++i) {
    const int fd = open(files[i], O_WRONLY);
    printf(fd >= 0 ? "ESCAPED: %s can be written\n" : "%s: %s\n", files[i], strerror(errno));
  }
}

/// Exchanges two names for ever: a directory, and a link out of the place where it lies.
static void swap(const char *one, const char *two) {
  for (;;) syscall(SYS_renameat2, AT_FDCWD, one, AT_FDCWD, two, 2);
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (argc < 3) return 2;
  guard = argv[1];
  const char *const way = argv[2];
  if (strcmp(way, "descriptors") == 0) descriptors();
  if (strcmp(way, "processes") == 0) processes();
  if (strcmp(way, "chroot") == 0) change_root();
  if (strcmp(way, "calls") == 0) calls();
  if (strcmp(way, "handles") == 0) handles();
  if (strcmp(way, "disks") == 0) disks();
  if (strcmp(way, "settings") == 0) settings();
  if (strcmp(way, "swap") == 0 && argc == 5) swap(argv[3], argv[4]);
  printf("attempted %s\n", way);
  return 0;
}
