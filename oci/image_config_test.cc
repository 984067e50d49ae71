// SPDX-License-Identifier: Apache-2.0
// Configurations that BuildKit wrote come back byte for byte; others are read or refused.
#include "oci/image_config.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "base/text.h"

using namespace cbuild;
using namespace cbuild::oci;

namespace {

// The config that BuildKit (2026-08) wrote for a Dockerfile that uses every instruction of the configuration.
constexpr std::string_view kBuildkit =
    R"({"architecture":"amd64","author":"me \u003cme@example.com\u003e","config":{"User":"nobody:nogroup",")"
    R"(ExposedPorts":{"53/udp":{},"80/tcp":{}},"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/b)"
    R"(in:/sbin:/bin","A=b","C=x y"],"Entrypoint":["/x","\u003c\u0026\u003e"],"Cmd":["a"],"Volumes":{"/a":{)"
    R"(},"/data":{}},"WorkingDir":"/w","Labels":{"a":"1","b":"\u003ctag\u003e \u0026 'quote' \"dq\" é ☃"},")"
    R"(StopSignal":"SIGINT","ArgsEscaped":true,"Healthcheck":{"Test":["CMD-SHELL","curl -f http://x/ || exi)"
    R"(t 1"],"Interval":5000000000,"Timeout":3000000000,"StartPeriod":60000000000,"StartInterval":200000000)"
    R"(0,"Retries":4},"OnBuild":["RUN echo hi"],"Shell":["/bin/bash","-c"]},"created":"2023-11-14T22:13:20Z)"
    R"(","history":[{"created":"2023-11-14T22:13:20Z","created_by":"LABEL b=\u003ctag\u003e \u0026 'quote' )"
    R"(\"dq\" é ☃ a=1","comment":"buildkit.dockerfile.v0","empty_layer":true},{"created":"2023-11-14T22:13:)"
    R"(20Z","created_by":"ENV A=b C=x y","comment":"buildkit.dockerfile.v0","empty_layer":true},{"created":)"
    R"("2023-11-14T22:13:20Z","created_by":"EXPOSE [53/udp 80/tcp]","comment":"buildkit.dockerfile.v0","emp)"
    R"(ty_layer":true},{"created":"2023-11-14T22:13:20Z","created_by":"VOLUME [/data /a]","comment":"buildk)"
    R"(it.dockerfile.v0","empty_layer":true},{"created":"2023-11-14T22:13:20Z","created_by":"WORKDIR /w","c)"
    R"(omment":"buildkit.dockerfile.v0"},{"created":"2023-11-14T22:13:20Z","created_by":"COPY f.txt /w/ # b)"
    R"(uildkit","comment":"buildkit.dockerfile.v0"},{"created":"2023-11-14T22:13:20Z","created_by":"HEALTHC)"
    R"(HECK {Test:[CMD-SHELL curl -f http://x/ || exit 1] Interval:5s Timeout:3s StartPeriod:1m0s StartInte)"
    R"(rval:2s Retries:4}","comment":"buildkit.dockerfile.v0","empty_layer":true},{"created":"2023-11-14T22)"
    R"(:13:20Z","created_by":"SHELL [/bin/bash -c]","comment":"buildkit.dockerfile.v0","empty_layer":true},)"
    R"({"created":"2023-11-14T22:13:20Z","created_by":"STOPSIGNAL SIGINT","comment":"buildkit.dockerfile.v0)"
    R"(","empty_layer":true},{"created":"2023-11-14T22:13:20Z","created_by":"USER nobody:nogroup","comment")"
    R"(:"buildkit.dockerfile.v0","empty_layer":true},{"created":"2023-11-14T22:13:20Z","created_by":"ENTRYP)"
    R"(OINT [\"/x\" \"\u003c\u0026\u003e\"]","comment":"buildkit.dockerfile.v0","empty_layer":true},{"creat)"
    R"(ed":"2023-11-14T22:13:20Z","created_by":"CMD [\"a\"]","comment":"buildkit.dockerfile.v0","empty_laye)"
    R"(r":true},{"created":"2023-11-14T22:13:20Z","created_by":"MAINTAINER me \u003cme@example.com\u003e",")"
    R"(comment":"buildkit.dockerfile.v0","empty_layer":true}],"os":"linux","rootfs":{"type":"layers","diff_)"
    R"(ids":["sha256:a30423ec4f30e088b42b95e94241ce7c485b1507d6834fcebc7a13d9074f5832","sha256:431cc2b68645)"
    R"(26e5c043ba00287f2bd2840e64fe5d75ac6a5d19f5f8119dcf73"]}})";

// ... for "FROM scratch" alone, platform linux/arm/v7.
constexpr std::string_view kBare =
    R"({"architecture":"arm","config":{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin)"
    R"(:/bin"],"WorkingDir":"/"},"created":null,"history":null,"os":"linux","rootfs":{"type":"layers","diff)"
    R"(_ids":null},"variant":"v7"})";

ErrorCode code_of(std::string_view json) {
  try {
    parse_image_config(json);
  } catch (const Error& e) {
    return e.code();
  }
  return ErrorCode::internal;
}

constexpr std::string_view kRootfs = R"("rootfs":{"type":"layers","diff_ids":[]})";

ImageConfig parse_with(std::string_view members) { return parse_image_config(cat('{', kRootfs, ',', members, '}')); }

}  // namespace

TEST_CASE("a configuration of BuildKit survives byte for byte") {
  CHECK(sha256(kBuildkit).hex() == "d624121256aa2c1d5d52222427800449340402547e1b4dd5f85716ca2e6c5655");
  CHECK(to_json(parse_image_config(kBuildkit)) == kBuildkit);
  CHECK(to_json(parse_image_config(kBare)) == kBare);
}

TEST_CASE("fields are read") {
  const ImageConfig image = parse_image_config(kBuildkit);
  CHECK(image.author == "me <me@example.com>");
  CHECK(image.created == "2023-11-14T22:13:20Z");
  CHECK(image.platform.str() == "linux/amd64");
  CHECK(image.diff_ids.size() == 2);
  CHECK(image.history.size() == 13);
  CHECK(image.history[0].empty_layer);
  CHECK_FALSE(image.history[5].empty_layer);
  const ContainerConfig& config = image.config;
  CHECK(config.user == "nobody:nogroup");
  CHECK(config.env.back() == "C=x y");
  CHECK(config.entrypoint == std::vector<std::string>{"/x", "<&>"});
  CHECK(config.exposed_ports == std::set<std::string>{"53/udp", "80/tcp"});
  CHECK(config.labels.at("b") == "<tag> & 'quote' \"dq\" \u00e9 \u2603");
  CHECK(config.args_escaped);
  REQUIRE(config.healthcheck);
  CHECK(config.healthcheck->start_interval_ns == 2'000'000'000);
  CHECK(config.healthcheck->retries == 4);
  CHECK(config.on_build == std::vector<std::string>{"RUN echo hi"});
  CHECK(config.shell == std::vector<std::string>{"/bin/bash", "-c"});
}

TEST_CASE("every field survives a round trip") {
  ImageConfig image = parse_image_config(kBuildkit);
  image.platform = {"windows", "amd64", "v2", "10.0.17763.1", {"win32k", "x"}};
  image.config.healthcheck = Healthcheck{};
  image.history.push_back({"", "by", "who", "why", false});
  image.extra["docker_version"] = "\"20.10\"";
  CHECK(parse_image_config(to_json(image)) == image);
}

TEST_CASE("nulls and missing members are empty") {
  const ImageConfig image =
      parse_with(R"("architecture":"amd64","os":null,"config":null,"history":null,"created":null,"container":null)");
  CHECK(image.platform.str() == "linux/amd64");
  CHECK(image.config == ContainerConfig{});
  CHECK(image.extra.empty());
  const ContainerConfig config =
      parse_with(R"("config":{"Env":null,"Labels":null,"Cmd":null,"Entrypoint":[],"Volumes":null,"User":null})").config;
  CHECK_FALSE(config.cmd);
  CHECK(config.entrypoint == std::vector<std::string>{});
}

TEST_CASE("unknown members at the top are kept, sorted in") {
  const ImageConfig image =
      parse_with(R"("architecture":"arm64","zoo":{"b":[1,2.5,"<"],"a":null},"docker_version":"1")");
  CHECK(image.extra.at("zoo") == R"({"a":null,"b":[1,2.5,"\u003c"]})");
  CHECK(to_json(image) ==
        R"({"architecture":"arm64","config":{},"created":null,"docker_version":"1","history":null,"os":"linux",)"
        R"("rootfs":{"type":"layers","diff_ids":null},"zoo":{"a":null,"b":[1,2.5,"\u003c"]}})");
}

TEST_CASE("times are printed as Go prints them") {
  const auto created = [](std::string_view text) { return parse_with(cat(R"("created":")", text, '"')).created; };
  CHECK(created("2023-05-04T17:37:03.872958712Z") == "2023-05-04T17:37:03.872958712Z");
  CHECK(created("2023-05-04T17:37:03.870000000Z") == "2023-05-04T17:37:03.87Z");
  CHECK(created("2023-05-04T17:37:03.000Z") == "2023-05-04T17:37:03Z");
  CHECK(created("2023-05-04T17:37:30+00:00") == "2023-05-04T17:37:30Z");
  CHECK(created("2023-05-04T17:37:30.50-07:00") == "2023-05-04T17:37:30.5-07:00");
  CHECK(created("0001-01-01T00:00:00Z") == "0001-01-01T00:00:00Z");
}

TEST_CASE("text that is not an image configuration is refused") {
  CHECK(code_of("") == ErrorCode::corrupt);
  CHECK(code_of("[]") == ErrorCode::corrupt);
  CHECK(code_of("{}") == ErrorCode::corrupt);
  CHECK(code_of(R"({"rootfs":{"type":"layers","diff_ids":["md5:x"]}})") == ErrorCode::corrupt);
  CHECK(code_of(R"({"rootfs":{"type":"tree","diff_ids":[]}})") == ErrorCode::corrupt);
  for (const std::string_view bad :
       {R"("os":1)", R"("config":[])", R"("config":{"Env":"A=b"})", R"("config":{"Env":[1]})", R"("history":{})",
        R"("history":[1])", R"("config":{"Labels":{"a":1}})", R"("config":{"Healthcheck":{"Retries":1.5}})",
        R"("config":{"Healthcheck":{"Retries":18446744073709551615}})", R"("config":{"ArgsEscaped":"yes"})"}) {
    CAPTURE(bad);
    CHECK(code_of(cat('{', kRootfs, ',', bad, '}')) == ErrorCode::corrupt);
  }
  CHECK(code_of(cat('{', kRootfs, "} x")) == ErrorCode::corrupt);
  CHECK(code_of(std::string((8u << 20) + 1, ' ')) == ErrorCode::corrupt);
}

TEST_CASE("a list of too many layers is refused") {
  std::string ids;
  for (int i = 0; i <= 100'000; ++i) ids += cat(i == 0 ? "" : ",", '"', Digest{}.str(), '"');
  CHECK(code_of(cat(R"({"rootfs":{"diff_ids":[)", ids, "]}}")) == ErrorCode::corrupt);
}

TEST_CASE("chain ids") {
  const Digest a = sha256("a"), b = sha256("b"), c = sha256("c");
  CHECK(chain_id({}).empty());
  CHECK(chain_id({a}) == a);
  const Digest ab = sha256(a.str() + " " + b.str());
  CHECK(chain_id({a, b}) == ab);
  CHECK(chain_id({a, b, c}) == sha256(ab.str() + " " + c.str()));
}
