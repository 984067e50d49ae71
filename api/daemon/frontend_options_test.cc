// SPDX-License-Identifier: Apache-2.0
#include "api/daemon/frontend_options.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace cbuild::api {

TEST_CASE("attributes of the frontend become the request's fields") {
  engine::BuildRequest request;
  read_frontend_options({{"target", "build"},
                         {"platform", "linux/amd64,linux/arm64"},
                         {"build-arg:A", "1"},
                         {"build-arg:EMPTY", ""},
                         {"label:l", "v"},
                         {"no-cache", "a,b"},
                         {"image-resolve-mode", "pull"},
                         {"force-network-mode", "none"},
                         {"add-hosts", "x=1.2.3.4,y=::1"},
                         {"shm-size", "1024"},
                         {"ulimit", "nofile=10:20,core=0"},
                         {"cgroup-parent", "/g"},
                         {"memory", "5"},
                         {"cpusetcpus", "0-1"},
                         {"attest:provenance", "mode=max"},
                         {"vcs:revision", "abc"},
                         {"source", "docker/dockerfile"}},
                        request);
  CHECK(request.inputs.targets == std::vector<std::string>{"build"});
  REQUIRE(request.inputs.platforms.size() == 2);
  CHECK(request.inputs.platforms[1].str() == "linux/arm64");
  CHECK(request.inputs.build_args == std::map<std::string, std::string>{{"A", "1"}, {"EMPTY", ""}});
  CHECK(request.inputs.labels == std::map<std::string, std::string>{{"l", "v"}});
  CHECK(request.inputs.vcs == std::map<std::string, std::string>{{"revision", "abc"}});
  CHECK_FALSE(request.caches.none);
  CHECK(request.caches.ignored == std::vector<std::string>{"a", "b"});
  CHECK(request.sources.pull == engine::PullPolicy::always);
  CHECK(request.steps.network == "none");
  CHECK(request.steps.extra_hosts == std::vector<std::string>{"x=1.2.3.4", "y=::1"});
  CHECK(request.steps.shm_size == 1024);
  CHECK(request.steps.ulimits == std::vector<Ulimit>{{"nofile", 10, 20}, {"core", 0, 0}});
  CHECK(request.steps.cgroup_parent == "/g");
  CHECK(request.steps.resources.memory_bytes == 5);
  CHECK(request.steps.resources.cpuset_cpus == "0-1");
  REQUIRE(request.outputs.attestations.provenance);
  CHECK(request.outputs.attestations.provenance->max);
}

TEST_CASE("an empty no-cache is every stage, and a missing one is none") {
  engine::BuildRequest all, none;
  read_frontend_options({{"no-cache", ""}}, all);
  read_frontend_options({}, none);
  CHECK(all.caches.none);
  CHECK_FALSE(none.caches.none);
  CHECK_FALSE(none.outputs.attestations.provenance);
}

TEST_CASE("values that mean nothing are refused") {
  for (const Attributes& wrong : {Attributes{{"platform", "linux/nothing/x/y"}}, Attributes{{"shm-size", "much"}},
                                  Attributes{{"ulimit", "nofile"}}, Attributes{{"ulimit", "nofile=1:2:3"}},
                                  Attributes{{"attest:provenance", "mode=some"}}}) {
    engine::BuildRequest request;
    CHECK_THROWS_AS(read_frontend_options(wrong, request), Error);
  }
}

}  // namespace cbuild::api
