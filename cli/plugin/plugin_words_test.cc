// SPDX-License-Identifier: Apache-2.0
#include "cli/plugin/plugin_words.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace cbuild::cli {
namespace {

using Environment = decltype(PluginCall::environment);

TEST_CASE("the call of docker's client and that of other programs are one") {
  const PluginCall wanted{{}, "", {"build", "-t", "x", "."}};
  CHECK(read_plugin_call({"buildx", "build", "-t", "x", "."}) == wanted);
  CHECK(read_plugin_call({"build", "-t", "x", "."}) == wanted);
  CHECK(read_plugin_call({"buildx", "-D", "build", "-t", "x", "."}) == wanted);
  CHECK(read_plugin_call({}).words.empty());
}

TEST_CASE("docker's flags become variables") {
  CHECK(read_plugin_call({"-H", "tcp://h", "--config=/c", "-l", "debug", "buildx", "ls"}) ==
        PluginCall{{{"DOCKER_HOST", "tcp://h"}, {"DOCKER_CONFIG", "/c"}}, "", {"ls"}});
  CHECK(read_plugin_call({"-ctest", "buildx", "ls"}).environment ==
        Environment{{"DOCKER_HOST", std::nullopt}, {"DOCKER_CONTEXT", "test"}});
  CHECK(read_plugin_call({"--tls", "--tlsverify=false", "buildx", "ls"}).environment ==
        Environment{{"DOCKER_TLS", "1"}, {"DOCKER_TLS_VERIFY", std::nullopt}});
  CHECK(read_plugin_call({"--tlscacert", "/d/ca.pem", "--tlskey=/d/key.pem", "buildx", "ls"}).environment ==
        Environment{{"DOCKER_CERT_PATH", "/d"}});
  CHECK_THROWS_WITH_AS(read_plugin_call({"--tlscacert", "/d/my.pem", "buildx", "ls"}),
                       "certificate /d/my.pem has to be ca.pem next to the others", Error);
  CHECK_THROWS_WITH_AS(read_plugin_call({"--host"}), "--host needs a value", Error);
}

TEST_CASE("--builder and -D are taken out of a command's words") {
  CHECK(read_plugin_call({"buildx", "--builder", "b", "du"}) == PluginCall{{}, "b", {"du"}});
  CHECK(read_plugin_call({"buildx", "du", "--builder=b", "-D"}) == PluginCall{{}, "b", {"du"}});
  CHECK(read_plugin_call({"buildx", "build", "-D", "."}).words == Arguments{"build", "-D", "."});
  CHECK(read_plugin_call({"bake", "--", "--builder", "b"}) == PluginCall{{}, "", {"bake", "--", "--builder", "b"}});
}

}  // namespace
}  // namespace cbuild::cli
