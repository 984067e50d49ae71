// SPDX-License-Identifier: Apache-2.0
#include "solver/ops/exec_devices.h"

#include <doctest/doctest.h>

#include <fstream>

#include "base/error.h"
#include "base/files.h"

namespace cbuild::solver::ops {
namespace {

using Names = std::vector<std::string>;

struct Machine {
  TempDir directory = TempDir::in_tmp("devices-test-");
  sandbox::cdi::Registry registry;

  Machine() {
    std::ofstream(directory.path() + "/d.yaml")
        << "cdiVersion: 1.0.0\nkind: v.com/d\ndevices:\n"
           "- {name: free, annotations: {org.mobyproject.buildkit.device.autoallow: true}}\n"
           "- {name: x}\n- {name: y}\n";
    registry = sandbox::cdi::Registry::load({directory.path()});
  }
  Names granted(const std::vector<DeviceRequest>& requests, const Names& allow) const {
    return granted_devices(requests, parse_device_grants(allow), registry);
  }
};

}  // namespace

TEST_CASE_FIXTURE(Machine, "devices need a permission unless their file gives it") {
  CHECK(granted({{"v.com/d=free"}}, {}) == Names{"v.com/d=free"});
  CHECK(granted({{"v.com/d=x"}}, {"network.host", "device=v.com/d=x"}) == Names{"v.com/d=x"});
  CHECK(granted({{"v.com/d=*"}}, {"device"}) == Names{"v.com/d=free", "v.com/d=x", "v.com/d=y"});
  CHECK_THROWS_WITH_AS(granted({{"v.com/d=x"}}, {}), "device v.com/d=x is requested by the build but not allowed",
                       Error);
  CHECK_THROWS_WITH_AS(granted({{"v.com/d=*"}}, {"device=v.com/d=free"}),
                       "devices v.com/d=x, v.com/d=y are requested by the build but not allowed", Error);
}

TEST_CASE_FIXTURE(Machine, "only required devices must be there") {
  CHECK(granted({{"v.com/d=none"}, {"other"}}, {}).empty());
  CHECK_THROWS_WITH_AS(granted({{"v.com/d=none", true}}, {"device"}),
                       "required device \"v.com/d=none\" is not registered", Error);
}

TEST_CASE_FIXTURE(Machine, "an alias gives another device for the name in the Dockerfile") {
  CHECK(granted({{"gpu", true}}, {"device=v.com/d=y,alias=gpu"}) == Names{"v.com/d=y"});
  CHECK_THROWS_AS(parse_device_grants({"device=x,other=y"}), Error);
}

TEST_CASE("edits replace variables and complete nodes from the machine") {
  sandbox::Spec spec;
  spec.environment = {"A=1", "AB=2"};
  spec.additional_gids = {0};
  sandbox::cdi::Edits edits;
  edits.environment = {"A=3"};
  edits.nodes = {{.path = "/dev/zilch", .type = '\0', .host_path = "/dev/null", .may_write = false}};
  edits.mounts = {{"/proc", "/opt/proc", true, false, true, false}};
  edits.additional_gids = {0, 5};
  std::vector<UniqueFd> descriptors;
  apply_edits(edits, spec, descriptors);
  CHECK(spec.environment == Names{"AB=2", "A=3"});
  REQUIRE(spec.devices.size() == 1);
  CHECK(spec.devices[0].type == 'c');
  CHECK(spec.devices[0].major == 1);
  CHECK(spec.devices[0].minor == 3);
  CHECK(spec.additional_gids == std::vector<gid_t>{0, 5});
  REQUIRE(spec.mounts.size() == 1);
  CHECK(spec.mounts[0].read_only);
  CHECK(descriptors.size() == 1);
  edits.nodes = {{.path = "/dev/x", .type = '\0', .host_path = "/etc/passwd"}};
  CHECK_THROWS_WITH_AS(apply_edits(edits, spec, descriptors), "/etc/passwd is not a device", Error);
}

}  // namespace cbuild::solver::ops
