// SPDX-License-Identifier: Apache-2.0
#include "sandbox/wire.h"

#include <unistd.h>

#include <doctest/doctest.h>

#include "base/error.h"

using namespace cbuild;
using namespace cbuild::sandbox;
using namespace cbuild::sandbox::wire;

namespace {

std::vector<UniqueFd> duplicates(const std::vector<int>& numbers) {
  std::vector<UniqueFd> copies;
  for (const int number : numbers) copies.emplace_back(::dup(number));
  return copies;
}

Spec full_spec() {
  Spec spec;
  spec.argv = {"sh", "-c", std::string("a\0b", 3), ""};
  spec.environment = {"A=1", ""};
  spec.working_dir = "/w";
  spec.uid = 1;
  spec.gid = 4294967294;
  spec.additional_gids = {2, 3};
  spec.hostname = "h";
  spec.lower_fds = {0, 1};
  spec.upper_fd = 2;
  spec.work_fd = 0;
  spec.mounts.push_back({"/bind", BindSource{1}, true, false, true, false});
  spec.mounts.push_back({"/overlay", OverlaySource{{0, 2}, "p", true}, false, true, false, true});
  spec.mounts.push_back({"/tmpfs", TmpfsSource{5, 0700}});
  spec.mounts.push_back({"/content", ContentSource{"secret", 6, 7, 0440}});
  spec.hosts_file = "hosts";
  spec.network = NetworkMode::none;
  spec.network_fd = 1;
  spec.insecure = true;
  spec.shm_size = 9;
  spec.ulimits = {{"nofile", -1, 5}};
  spec.devices = {{"/dev/x", 'b', 8, 1, 0600, 1, 2}};
  spec.cgroup_parent = "p";
  spec.bundle = "/bundle";
  spec.security.capabilities = 5;
  spec.security.no_new_privileges = true;
  spec.security.filters_calls = false;
  spec.security.seccomp = {
      "SCMP_ACT_ERRNO", 2, {"SCMP_ARCH_X86"}, {{{"a", "b"}, "SCMP_ACT_LOG", 3, {{1, 2, 3, "x"}}}}, "d"};
  spec.security.apparmor = "profile";
  spec.security.label_options = {"disable"};
  return spec;
}

}  // namespace

TEST_CASE("a spec comes out as it went in, its descriptors as those that travelled") {
  const Spec spec = full_spec();
  std::vector<int> numbers = {1, 2};  // stdout and stderr go first
  const std::string data = encode(Run{42, spec}, numbers);
  CHECK(numbers == std::vector<int>{1, 2, 0, 1, 2, 0, 1, 0, 2, 1});
  const std::vector<UniqueFd> fds = duplicates(numbers);
  const auto run = std::get<Run>(decode_request(data, fds));
  CHECK(run.id == 42);
  const Spec& back = run.spec;
  CHECK(back.argv == spec.argv);
  CHECK(back.environment == spec.environment);
  CHECK(back.gid == spec.gid);
  CHECK(back.additional_gids == spec.additional_gids);
  CHECK(back.bundle == spec.bundle);
  CHECK(back.security == spec.security);
  CHECK(back.lower_fds == std::vector<int>{fds[2].get(), fds[3].get()});
  CHECK(back.upper_fd == fds[4].get());
  CHECK(back.work_fd == fds[5].get());
  CHECK(back.skeleton_fd == -1);
  REQUIRE(back.mounts.size() == 4);
  CHECK(std::get<BindSource>(back.mounts[0].source).fd == fds[6].get());
  CHECK(back.mounts[0].read_only);
  CHECK(back.mounts[0].no_dev);
  const auto& overlay = std::get<OverlaySource>(back.mounts[1].source);
  CHECK(overlay.lower_fds == std::vector<int>{fds[7].get(), fds[8].get()});
  CHECK(overlay.writable);
  CHECK(back.mounts[1].no_exec);
  CHECK(std::get<TmpfsSource>(back.mounts[2].source).mode == 0700);
  CHECK(std::get<ContentSource>(back.mounts[3].source).content == "secret");
  CHECK(back.hosts_file == "hosts");
  CHECK(back.network == NetworkMode::none);
  CHECK(back.network_fd == fds[9].get());
  CHECK(back.insecure);
  CHECK(back.shm_size == 9);
  CHECK(back.ulimits == spec.ulimits);
  CHECK(back.devices[0].minor == 1);
  CHECK(back.devices[0].gid == 2);
  CHECK(back.cgroup_parent == "p");
  // Encoding a decoded message gives the same bytes.
  std::vector<int> again = {fds[0].get(), fds[1].get()};
  CHECK(encode(run, again) == data);
}

TEST_CASE("the other messages, too") {
  std::vector<int> none;
  const auto configure =
      std::get<Configure>(decode_request(encode(Configure{Mode::masked_proc, DeviceControl::none, true}, none), {}));
  CHECK(configure.mode == Mode::masked_proc);
  CHECK(configure.device_control == DeviceControl::none);
  CHECK(configure.layers_in_place);
  const auto signal = std::get<Signal>(decode_request(encode(Signal{7, 15}, none), {}));
  CHECK(signal.id == 7);
  CHECK(signal.number == 15);
  const Ended ended = decode_ended(
      encode(Ended{1, 2, {3, 4, 5, 6, 7, true}, setup::ExecFailure::not_found, "why", SetupFault::disk_full}));
  CHECK(ended.id == 1);
  CHECK(ended.use == ResourceUse{3, 4, 5, 6, 7, true});
  CHECK(ended.exec_failure == setup::ExecFailure::not_found);
  CHECK(ended.failure == "why");
  CHECK(ended.fault == SetupFault::disk_full);
}

TEST_CASE("every cut and every wrong descriptor is refused") {
  std::vector<int> numbers;
  const std::string data = encode(Run{1, full_spec()}, numbers);
  const std::vector<UniqueFd> fds = duplicates(numbers);
  for (std::size_t size = 0; size < data.size(); ++size)
    CHECK_THROWS_AS(decode_request(data.substr(0, size), fds), Error);
  CHECK_THROWS_AS(decode_request(data + "x", fds), Error);
  CHECK_THROWS_AS(decode_request(data, {}), Error);
  CHECK_THROWS_AS(decode_request(std::string(8, '\x7f'), {}), Error);
  CHECK_THROWS_AS(decode_ended("short"), Error);
}
