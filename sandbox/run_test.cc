// SPDX-License-Identifier: Apache-2.0
// A step from outside: its end, its output, its layer; and the outside as the step sees it.
#include <doctest/doctest.h>

#include <algorithm>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "sandbox/run_fixture.h"

using namespace cbuild;
using namespace cbuild::sandbox;
using namespace cbuild::sandbox::testing;

using Lines = std::vector<std::string>;

TEST_CASE("exit codes, signals and output come out as they are") {
  if (!can_run_as_root()) return;
  Sandbox sandbox;
  TestImage image;

  const Outcome fine = sandbox.run(image.spec("echo out; echo err >&2; exit 0"));
  CHECK(fine.exit.setup_error == "");
  CHECK(fine.exit.code == 0);
  CHECK(fine.out == "out\n");
  CHECK(fine.err == "err\n");
  CHECK(fine.exit.wall_ns > 0);
  CHECK(fine.exit.use.peak_memory_bytes > 100'000);

  CHECK(sandbox.run(image.spec("exit 3")).exit.code == 3);
  CHECK(sandbox.run(image.spec("sh -c 'kill -TERM $$'; echo $?")).out == "143\n");
  // No process in there can signal pid 1 to death, but a child's death is passed on as the shell does it.
  CHECK(sandbox.run(image.spec("sh -c 'kill -SEGV $$'; exit $?")).exit.code == 139);
  const Outcome quiet = sandbox.run(image.exec({"true"}));
  CHECK(quiet.exit.code == 0);
  CHECK(quiet.out == "");
  CHECK_FALSE(quiet.exit.use.oom_killed);
  CHECK_FALSE(quiet.exit.timed_out);
  CHECK_FALSE(quiet.exit.cancelled);
}

TEST_CASE("a command that cannot be started: text in the log, shell exit codes") {
  if (!can_run_as_root()) return;
  Sandbox sandbox;
  TestImage image;
  image.write("noexec", "echo hi\n", 0644);
  image.write("bin/inpath", "echo hi\n", 0644);
  image.write("noshebang", "echo hi\n", 0755);
  image.write("interp", "#!/nope\n", 0755);
  image.make_directory("adir");
  struct Case {
    Lines argv;
    int code;
    std::string text;
  };
  for (const Case& c : {Case{{"nope", "x"}, 127, "exec: \"nope\": executable file not found in $PATH\n"},
                        Case{{"inpath"}, 127, "exec: \"inpath\": executable file not found in $PATH\n"},
                        Case{{"/nope/x"}, 127, "exec: \"/nope/x\": stat /nope/x: no such file or directory\n"},
                        Case{{"/noexec"}, 126, "exec: \"/noexec\": permission denied\n"},
                        Case{{"/adir"}, 126, "exec: \"/adir\": permission denied\n"},
                        Case{{"/noshebang"}, 126, "exec /noshebang: exec format error\n"},
                        Case{{"/interp"}, 127, "exec /interp: no such file or directory\n"}}) {
    const Outcome outcome = sandbox.run(image.exec(c.argv));
    CHECK(outcome.exit.code == c.code);
    CHECK(outcome.exit.setup_error == "");
    CHECK(outcome.err == c.text);
  }
  Spec relative = image.exec({"bin/true"});
  CHECK(sandbox.run(relative).exit.code == 0);
  Spec no_path = image.exec({"true"});
  no_path.environment.clear();
  CHECK(sandbox.run(no_path).exit.code == 127);
}

TEST_CASE("the command's surroundings: arguments, environment, pid 1, umask, stdin, descriptors, directory") {
  if (!can_run_as_root()) return;
  Sandbox sandbox;
  TestImage image;
  const std::string script =
      "echo \"$0|$1|$EMPTY|$A\"; echo pid $$; umask; cat; pwd; ls /proc/self/fd | wc -l; cat /proc/1/comm; exit 0";
  Spec spec = image.exec({"/bin/sh", "-c", script, "a b", ""});
  spec.environment = {"PATH=/bin", "A=1 2", "EMPTY="};
  spec.working_dir = "/var";
  const Outcome outcome = sandbox.run(spec);
  // ls has 0, 1, 2 and the directory it reads.
  CHECK(outcome.out == "a b|||1 2\npid 1\n0022\n/var\n4\nsh\n");
  CHECK(sandbox.run(image.exec({"env"})).out ==
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nHOME=/root\n");
}

TEST_CASE("the layer holds the changes of the step and nothing else") {
  if (!can_run_as_root()) return;
  Sandbox sandbox;
  TestImage image;
  image.write("etc/old", "old");
  image.write("etc/gone", "gone");
  const Outcome outcome = sandbox.run(
      image.spec("mkdir /new; echo x > /new/file; rm /etc/gone; chmod 600 /etc/old; ln -s /new /link; "
                 "mknod /disk b 8 0; chown 5:6 /new/file; : > /dev/null; echo y > /dev/shm/z; : > /run/kept"));
  REQUIRE(outcome.exit.setup_error == "");
  CHECK(outcome.exit.code == 0);
  CHECK(outcome.err == "");
  CHECK(image.upper() == Lines{"disk block 8:0", "etc/ [0755 0:0]", "etc/gone char 0:0", "etc/old file[0600 0:0] old",
                               "link -> /new", "new/ [0755 0:0]", "new/file file[0644 5:6] x\n", "run/ [0755 0:0]",
                               "run/kept file[0644 0:0] "});
  sandbox.run(image.spec("cat /etc/hosts > /dev/null; ls /"));
  CHECK(image.upper() == Lines{});
}

TEST_CASE("a root without any layer is the upper directory itself") {
  if (!can_run_as_root()) return;
  Sandbox sandbox;
  TestImage image;
  Spec spec = image.exec({"/nothing"});
  spec.lower_fds.clear();
  spec.hosts_file = spec.resolv_conf = "";
  const Outcome empty = sandbox.run(spec);
  CHECK(empty.exit.code == 125);
  CHECK(empty.exit.setup_error.find("mount proc on /proc") == 0);
  for (const char* directory : {"proc", "dev", "sys"}) ::mkdirat(spec.upper_fd, directory, 0755);
  CHECK(sandbox.run(spec).exit.code == 127);
}

TEST_CASE("mount targets in the skeleton never reach the layer, also below directories the image lacks") {
  if (!can_run_as_root()) return;
  for (const bool in_place : {false, true}) {
    wire::Configure configuration;
    configuration.layers_in_place = in_place;
    Sandbox sandbox(configuration);
    TestImage image;
    Spec spec = image.spec("cat /run/secrets/key; touch /run/secrets/other; ls /run/secrets");
    spec.skeleton_fd = image.skeleton();
    sys::mkdir_all(image.dir(), "skeleton/run/secrets", 0755);
    sys::write_file_at(image.dir(), "skeleton/run/secrets/key", "");
    spec.mounts.push_back({"/run/secrets/key", ContentSource{"s3cret\n", 0, 0, 0400}, true});
    const Outcome outcome = sandbox.run(spec);
    REQUIRE(outcome.exit.setup_error == "");
    CHECK(outcome.out == "s3cret\nkey\nother\n");
    CHECK(image.upper() == Lines{"run/ [0755 0:0]", "run/secrets/ [0755 0:0]", "run/secrets/other file[0644 0:0] "});
  }
}

TEST_CASE("whiteouts, opaque directories and many layers, through either way of mounting overlay") {
  if (!can_run_as_root()) return;
  for (const bool in_place : {false, true}) {
    wire::Configure configuration;
    configuration.layers_in_place = in_place;
    Sandbox sandbox(configuration);
    TestImage image;
    Spec spec = image.spec("cat /top; ls /stack | wc -l; rm -r /stack; mkdir /stack; : > /stack/fresh; ls /stack");
    image.make_directory("stack");
    constexpr int kLayers = 300;  // more descriptors than one message carries
    for (int i = 0; i < kLayers; ++i) {
      sys::mkdir_all(image.dir(), cat("more/", i, "/stack"), 0755);
      sys::write_file_at(image.dir(), cat("more/", i, "/stack/", i), "");
      sys::write_file_at(image.dir(), cat("more/", i, "/top"), cat("layer ", i, "\n"));
      spec.lower_fds.insert(spec.lower_fds.begin(), image.open(cat("more/", i)));
    }
    const Outcome outcome = sandbox.run(spec);
    REQUIRE(outcome.exit.setup_error == "");
    CHECK(outcome.out == cat("layer ", kLayers - 1, "\n", kLayers, "\nfresh\n"));
    CHECK(outcome.exit.code == 0);
    CHECK(image.upper() == Lines{"stack/ [0755 0:0]", "stack/fresh file[0644 0:0] "});
  }
}

TEST_CASE("renaming a directory of a lower layer fails, as it has to where layers must stand alone") {
  if (!can_run_as_root()) return;
  Sandbox sandbox;
  TestImage image;
  image.make_directory("dir");
  image.write("dir/file", "x");
  const Outcome outcome = sandbox.run(image.spec("mv /dir /moved && cat /moved/file"));  // mv copies
  CHECK(outcome.out == "x");
  CHECK(image.upper() == Lines{"dir char 0:0", "moved/ [0755 0:0]", "moved/file file[0644 0:0] x"});
}

TEST_CASE("users: ids, groups, home directory made for them, /dev/stdout") {
  if (!can_run_as_root()) return;
  Sandbox sandbox;
  TestImage image;
  image.make_directory("private", 0700);
  Spec spec = image.spec("id -u; id -g; id -G; echo again > /dev/stdout; pwd; touch here; cat /private/x");
  spec.uid = 1000;
  spec.gid = 100;
  spec.additional_gids = {100, 7};
  spec.working_dir = "/made/for/me";
  const Outcome outcome = sandbox.run(spec);
  REQUIRE(outcome.exit.setup_error == "");
  CHECK(outcome.out == "1000\n100\n100 7\nagain\n/made/for/me\n");
  CHECK(outcome.err.find("Permission denied") != std::string::npos);
  CHECK(image.upper() == Lines{"made/ [0755 1000:100]", "made/for/ [0755 1000:100]", "made/for/me/ [0755 1000:100]",
                               "made/for/me/here file[0644 1000:100] "});
}

TEST_CASE("the working directory may be behind a symlink, but not outside of the root or a file") {
  if (!can_run_as_root()) return;
  Sandbox sandbox;
  TestImage image;
  image.make_directory("real/place");
  image.link("way", "../../../../real");
  Spec spec = image.spec("pwd -P");
  spec.working_dir = "/way/place";
  CHECK(sandbox.run(spec).out == "/real/place\n");
  spec = image.spec("pwd -P");
  spec.working_dir = "/way/new";
  CHECK(sandbox.run(spec).out == "/real/new\n");
  for (const char* bad : {"/etc/hosts", "/proc/self/fd/1", "/proc/self/cwd"}) {
    spec = image.spec("pwd");
    spec.working_dir = bad;
    const Outcome outcome = sandbox.run(spec);
    CHECK_MESSAGE(outcome.exit.code == 125, bad);
    CHECK(outcome.exit.setup_error.find(cat("enter directory ", bad)) == 0);
    CHECK(outcome.exit.setup_fault == SetupFault::working_directory);
  }
}

TEST_CASE("20 MB of output on both streams arrive whole") {
  if (!can_run_as_root()) return;
  Sandbox sandbox;
  TestImage image;
  const Outcome outcome = sandbox.run(image.spec("yes 0123456 | head -c 20971520; yes abc | head -c 1048576 >&2"));
  CHECK(outcome.out.size() == 20u << 20);
  CHECK(outcome.err.size() == 1u << 20);
  CHECK(outcome.out.substr(outcome.out.size() - 8) == "0123456\n");
}

TEST_CASE("a large environment and many steps at once") {
  if (!can_run_as_root()) return;
  Sandbox sandbox;
  TestImage image;
  Spec spec = image.spec("echo ${#BIG}");
  spec.environment.push_back("BIG=" + std::string(100'000, 'x'));
  CHECK(sandbox.run(spec).out == "100000\n");
  spec = image.spec("true");
  spec.environment.push_back("BIG=" + std::string(200'000, 'x'));  // more than the kernel takes
  const Outcome too_long = sandbox.run(spec);
  CHECK(too_long.exit.setup_error == "");
  CHECK(too_long.exit.code == 126);
  CHECK(too_long.err == "exec /bin/sh: argument list too long\n");

  std::vector<std::unique_ptr<TestImage>> images;
  std::vector<std::unique_ptr<Running>> steps;
  for (int i = 0; i < 12; ++i) {
    images.push_back(std::make_unique<TestImage>());
    steps.push_back(
        std::make_unique<Running>(sandbox.runner(), images.back()->spec(cat("echo ", i, " > /out; cat /out"))));
  }
  for (int i = 0; i < 12; ++i) CHECK(steps[static_cast<std::size_t>(i)]->wait().out == cat(i, "\n"));
}

TEST_CASE("wrong specs are refused at once") {
  Sandbox sandbox;
  TestImage image;
  const auto refused = [&](const std::function<void(Spec&)>& change) {
    Spec spec = image.spec("true");
    change(spec);
    CHECK_THROWS_AS(sandbox.runner().run(spec, {}), Error);
  };
  refused([](Spec& s) { s.argv.clear(); });
  refused([](Spec& s) { s.argv[1] = std::string("a\0b", 3); });
  refused([](Spec& s) { s.environment.emplace_back("A=\0", 3); });
  refused([](Spec& s) { s.working_dir = "relative"; });
  refused([](Spec& s) { s.upper_fd = -1; });
  refused([](Spec& s) { s.work_fd = -1; });
  refused([](Spec& s) { s.mounts.push_back({"relative", TmpfsSource{}}); });
  refused([](Spec& s) { s.mounts.push_back({"/x/..", TmpfsSource{}}); });
  refused([](Spec& s) { s.mounts.push_back({"/x", BindSource{}}); });
  refused([](Spec& s) { s.ulimits.push_back({"nonsense", 1, 1}); });
  refused([](Spec& s) { s.ulimits.push_back({"nofile", -2, 1}); });
  refused([](Spec& s) { s.devices.push_back({"/etc/disk", 'b', 8, 0}); });
  refused([](Spec& s) { s.devices.push_back({"/dev/../etc/disk", 'b', 8, 0}); });
}
