// SPDX-License-Identifier: Apache-2.0
// Steps of an ordinary user. Each case runs in a child that became nobody.
#include <fcntl.h>
#include <sys/stat.h>

#include <doctest/doctest.h>
#include <cstdlib>

#include "base/error.h"
#include "base/sys.h"
#include "base/test_skip.h"
#include "base/text.h"
#include "sandbox/run_fixture.h"

using namespace cbuild;
using namespace cbuild::sandbox;
using namespace cbuild::sandbox::testing;

namespace {

bool can_use_user_namespaces() {
  if (!can_run_as_root()) return false;
  const std::string mode = as_user(false, [] { return std::string(to_string(probe(false).mode)); });
  return test::can_run(mode == "user-namespace", "user namespaces of ordinary users");
}

std::string show(const Outcome& outcome) {
  return cat("code ", outcome.exit.code, "\n", outcome.exit.setup_error, outcome.out, "err ", outcome.err);
}

}  // namespace

TEST_CASE("with id ranges a user's step is root with all its users") {
  if (!can_use_user_namespaces()) return;
  const std::string text = as_user(true, [] {
    const std::string entered = enter_user_namespace();
    const Mode mode = probe(true).mode;
    Sandbox sandbox(mode);
    TestImage image;
    Spec spec = image.spec(
        "id -u; chown 1000:2000 /tmp; chmod 4755 /tmp; rm /etc/hosts2; mkdir /x; echo y > /x/y; cat "
        "/etc/hosts; echo $$; "
        "grep Cap /proc/self/status; stat -c '%u %a' /dev/null; mknod /disk b 8 0");
    image.write("etc/hosts2", "");
    spec.mounts.push_back({"/root", TmpfsSource{}});
    const Outcome outcome = sandbox.run(spec);
    std::string out = cat(entered, "\n", to_string(mode), "\n", show(outcome));
    for (const std::string& entry : image.upper()) out += cat("| ", entry, "\n");
    spec = image.exec({"sh", "-c", "id -u; id -g; touch /tmp/mine"});
    spec.uid = 1000;
    spec.gid = 100;
    out += show(sandbox.run(spec));
    for (const std::string& entry : image.upper()) out += cat("| ", entry, "\n");
    return out;
  });
  INFO(text);
  CHECK(holds(text, "user namespace with 65537 uids and 65537 gids\nuser-namespace\n"));
  CHECK(holds(text, "code 1\n0\n127.0.0.1 localhost\n1\n"));
  CHECK(holds(text, "CapPrm:\t00000000a80425fb\n"));
  CHECK(holds(text, "CapBnd:\t00000000a80425fb\n"));
  CHECK(holds(text, "mknod: /disk: Operation not permitted"));
  CHECK(holds(text, "| etc/hosts2 char 0:0\n"));
  CHECK(holds(text, "| tmp/ [4755 1000:2000]\n| x/ [0755 0:0]\n| x/y file[0644 0:0] y\n"));
  CHECK(holds(text, "code 0\n1000\n100\n"));
  CHECK(holds(text, "| tmp/mine file[0644 1000:100] \n"));
}

TEST_CASE("without ranges there is one id, and a step for another gets advice") {
  if (!can_use_user_namespaces()) return;
  const std::string text = as_user(false, [] {
    const std::string entered = enter_user_namespace();
    Sandbox sandbox(probe(true).mode);
    TestImage image;
    std::string out = cat(entered, "\n", show(sandbox.run(image.spec("id; echo x > /x; cat /x"))));
    Spec spec = image.spec("true");
    spec.uid = 1000;
    out += show(sandbox.run(spec));
    return out;
  });
  INFO(text);
  CHECK(holds(text, "user namespace with the single id 65534"));
  CHECK(holds(text, "code 0\nuid=0"));
  CHECK(holds(text, "\nx\n"));
  CHECK(holds(text, "code 125\nset ids 1000:0"));
  CHECK(holds(text, "/etc/subuid"));
}

TEST_CASE("ranges of another source than the files are asked for") {
  if (!can_use_user_namespaces()) return;
  const char script[] =
      "#!/bin/sh\n"
      "case $* in\n"
      "nobody) echo '0: nobody 100000 500' ;;\n"
      "'-g nobody') echo '0: nobody 100000 400' ;;\n"
      "*) exit 1 ;;\n"
      "esac\n";
  for (const char* sources : {"subid: cbuildtest\n", "subid: files cbuildtest\n"}) {
    const std::string text = as_user(
        true,
        [&] {
          const TempDir programs = TempDir::in_tmp("getsubids");
          sys::write_file_at(programs.fd(), "getsubids", script, 0755);
          const char* path = std::getenv("PATH");
          ::setenv("PATH", cat(programs.path(), ":", path ? path : "/usr/bin:/bin").c_str(), 1);
          return enter_user_namespace();
        },
        sources);
    INFO(sources);
    CHECK(text == (std::string_view(sources).starts_with("subid: files")
                       ? "user namespace with 65537 uids and 65537 gids"
                       : "user namespace with 501 uids and 401 gids"));
  }
}

TEST_CASE("a user's sandbox: network, mounts, masks, both ways of mounting overlay") {
  if (!can_use_user_namespaces()) return;
  for (const bool in_place : {false, true}) {
    const std::string text = as_user(true, [&] {
      enter_user_namespace();
      wire::Configure configuration;
      configuration.mode = Mode::user_namespace;
      configuration.layers_in_place = in_place;
      Sandbox sandbox(configuration);
      TestImage image;
      sys::mkdir_all(image.dir(), "other/below", 0755);
      sys::write_file_at(image.dir(), "other/file", "other\n");
      for (const char* target : {"ro", "merged", "thrown"}) image.make_directory(target);
      std::string out;
      for (const NetworkMode network : {NetworkMode::host, NetworkMode::none}) {
        Spec spec = image.spec(
            "ls /sys/class/net | wc -l; cat /ro/file /merged/file; echo no > /ro/no; echo no > /merged/no; "
            "echo thrown > /thrown/file; "
            "cat /thrown/file; head -c 1 /proc/keys | wc -c; echo x > /proc/sys/kernel/hostname; head -c 2 "
            "/dev/zero | wc -c; touch /sys/x; true");
        spec.network = network;
        spec.skeleton_fd = image.skeleton();
        spec.mounts.push_back({"/ro", BindSource{image.open("other")}, true, true, true, true});
        spec.mounts.push_back({"/merged", OverlaySource{{image.open("other"), image.layer()}, "/", false}});
        spec.mounts.push_back({"/thrown", OverlaySource{{image.open("other"), image.layer()}, "/", true}});
        const Outcome outcome = sandbox.run(spec);
        out += show(outcome) + "---\n";
        for (const std::string& entry : image.upper()) out += cat("| ", entry, "\n");
      }
      return out;
    });
    INFO(text);
    const auto parts = split(replace_all(text, "---\n", "\x01"), '\x01');
    REQUIRE(parts.size() == 3);
    for (const std::string& part : {parts[0], parts[1]}) {
      CHECK(holds(part, "code 0\n"));
      CHECK(holds(part, "\nother\nother\nthrown\n0\n2\n"));
      CHECK(split(part, '\n').size() == 12);
    }
    CHECK(holds(parts[1], "code 0\n1\n"));
    CHECK_FALSE(holds(text, "| "));
  }
}

TEST_CASE("without an own /proc: the machine's is bound, strays are killed") {
  if (!can_use_user_namespaces()) return;
  const std::string mark = cat("sandbox-masked-", ::getpid());
  const std::string text = as_user(true, [&] {
    enter_user_namespace();
    Sandbox sandbox(Mode::masked_proc);
    TestImage image;
    std::string out = show(sandbox.run(
        image.exec({"sh", "-c",
                    cat("setsid sh -c 'sleep 1000; :' ", mark, " & test -d /proc/", ::getpid(),
                        " && echo sees; echo $$; "
                        "cat /proc/self/comm; ls /sys/class > /dev/null && echo sys; echo x > /out; exit 6")})));
    for (const std::string& entry : image.upper()) out += cat("| ", entry, "\n");
    return out;
  });
  INFO(text);
  CHECK(holds(text, "code 6\nsees\n"));
  CHECK_FALSE(holds(text, "\n1\n"));
  CHECK(holds(text, "sys\n"));
  CHECK(holds(text, "| out file[0644 0:0] x\n"));
  CHECK(all_gone(mark));
}

TEST_CASE("root without mount rights can enter a user namespace with all of its ids") {
  if (!can_use_user_namespaces()) return;
  const std::string text = in_child([] {
    const std::string entered = enter_user_namespace();
    Sandbox sandbox(probe(true).mode);
    TestImage image;
    return cat(entered, "\n", show(sandbox.run(image.spec("chown 70000:3 /tmp; stat -c %u:%g /tmp"))));
  });
  INFO(text);
  CHECK(holds(text, "user namespace with 4294967295 uids and 4294967295 gids\ncode 0\n70000:3\n"));
}
