// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "base/error.h"
#include "frontend/stages/config_base.h"
#include "frontend/stages/config_expose.h"
#include "frontend/stages/config_healthcheck.h"
#include "frontend/stages/config_signal.h"

namespace cbuild::frontend {
namespace {

using Texts = std::vector<std::string>;

std::string expose_error(std::string_view word) {
  try {
    parse_exposed_port(word);
  } catch (const Error& e) {
    CHECK(e.code() == ErrorCode::input);
    return e.message();
  }
  return {};
}

TEST_CASE("EXPOSE words") {
  CHECK(parse_exposed_port("80") == Texts{"80/tcp"});
  CHECK(parse_exposed_port("80/") == Texts{"80/tcp"});
  CHECK(parse_exposed_port("53/UDP") == Texts{"53/udp"});
  CHECK(parse_exposed_port("9/sctp") == Texts{"9/sctp"});
  CHECK(parse_exposed_port("1234-1236/udp") == Texts{"1234/udp", "1235/udp", "1236/udp"});
  CHECK(parse_exposed_port("7-7") == Texts{"7/tcp"});
  CHECK(parse_exposed_port("8080:80") == Texts{"80/tcp"});
  CHECK(parse_exposed_port("0.0.0.0:1234-1235:3333-3334/tcp") == Texts{"3333/tcp", "3334/tcp"});
  CHECK(parse_exposed_port("8000-9000:80") == Texts{"80/tcp"});
}

TEST_CASE("EXPOSE with IPv6 addresses") {
  CHECK(parse_exposed_port("[2001:4860:0:2001::68]::333") == Texts{"333/tcp"});
  CHECK(parse_exposed_port("[::1]:80:80") == Texts{"80/tcp"});
  CHECK(parse_exposed_port("2001:4860:0:2001::68::333") == Texts{"333/tcp"});
  CHECK(parse_exposed_port("::1:80:80") == Texts{"80/tcp"});
  CHECK(parse_exposed_port("::::80") == Texts{"80/tcp"});
}

TEST_CASE("EXPOSE errors") {
  CHECK(expose_error("") == "invalid port: \"\": no port specified");
  CHECK(expose_error("0.0.0.0:1234-1235:/tcp") == "invalid port: \"0.0.0.0:1234-1235:/tcp\": no port specified");
  CHECK(expose_error("0.0.0.0:1234-1235:") == "invalid port: \"0.0.0.0:1234-1235:\": no port specified");
  CHECK(expose_error("80/Xyz") == "invalid port: \"80/Xyz\": invalid proto: Xyz");
  CHECK(expose_error("http") == "invalid containerPort: http");
  CHECK(expose_error("65536") == "invalid containerPort: 65536");
  CHECK(expose_error("-5") == "invalid containerPort: -5");
  CHECK(expose_error("9-8") == "invalid containerPort: 9-8");
  CHECK(expose_error("x:80") == "invalid hostPort: x");
  CHECK(expose_error("1-2:3-5") == "invalid ranges specified for container and host Ports: 3-5 and 1-2");
  CHECK(expose_error("localhost:1234:1234/tcp") == "invalid IP address: localhost");
  CHECK(expose_error("[::1:80:80") == "invalid IP address [::1: missing ']' in address");
}

TEST_CASE("STOPSIGNAL values") {
  for (const char* good :
       {"9", "15", "-1", "999", "SIGTERM", "TERM", "sigkill", "RTMIN", "SIGRTMIN+15", "rtmax-1", "RTMAX"}) {
    CAPTURE(good);
    CHECK(is_stop_signal(good));
  }
  for (const char* bad :
       {"", "0", "SIGFOO", "SIG", "RTMIN+0", "RTMIN+16", "RTMAX-15", "RTMIN+01", "TERM ", "SIGSIGTERM"}) {
    CAPTURE(bad);
    CHECK_FALSE(is_stop_signal(bad));
  }
}

HealthcheckInstruction healthcheck(std::optional<std::string> interval, std::optional<std::string> retries = {}) {
  HealthcheckInstruction out;
  out.command.arguments = {{"true", {}}};
  if (interval) out.interval = Text{*interval, {}};
  if (retries) out.retries = Text{*retries, {}};
  return out;
}

std::string healthcheck_error(const HealthcheckInstruction& instruction) {
  try {
    make_healthcheck(instruction);
  } catch (const DiagnosticError& e) {
    return e.diagnostics().at(0).message;
  }
  return {};
}

TEST_CASE("HEALTHCHECK values") {
  HealthcheckInstruction all = healthcheck("1m30s", "3");
  all.timeout = Text{"500ms", {}};
  all.start_period = Text{"0", {}};
  all.start_interval = Text{"1ms", {}};
  const oci::Healthcheck check = make_healthcheck(all);
  CHECK(check.test == Texts{"CMD-SHELL", "true"});
  CHECK(check.interval_ns == 90'000'000'000);
  CHECK(check.timeout_ns == 500'000'000);
  CHECK(check.start_period_ns == 0);
  CHECK(check.start_interval_ns == 1'000'000);
  CHECK(check.retries == 3);

  HealthcheckInstruction exec = healthcheck({});
  exec.command.exec_form = true;
  exec.command.arguments = {{"curl", {}}, {"-f", {}}};
  CHECK(make_healthcheck(exec).test == Texts{"CMD", "curl", "-f"});
  CHECK(make_healthcheck(HealthcheckInstruction{.none = true}).test == Texts{"NONE"});
}

TEST_CASE("HEALTHCHECK errors") {
  CHECK(healthcheck_error(healthcheck("999us")) == "Interval \"interval\" cannot be less than 1ms");
  CHECK(healthcheck_error(healthcheck("-1s")) == "Interval \"interval\" cannot be less than 1ms");
  CHECK(healthcheck_error(healthcheck("5")) == "time: missing unit in duration \"5\"");
  CHECK(healthcheck_error(healthcheck("soon")) == "time: invalid duration \"soon\"");
  CHECK(healthcheck_error(healthcheck({}, "-2")) == "--retries cannot be negative (-2)");
  CHECK(healthcheck_error(healthcheck({}, "x")) == "strconv.ParseInt: parsing \"x\": invalid syntax");
  CHECK(healthcheck_error(healthcheck({}, "3000000000")) ==
        "strconv.ParseInt: parsing \"3000000000\": value out of range");
}

TEST_CASE("scratch starts with a platform, a directory and a PATH") {
  const oci::ImageConfig linux_config = scratch_config(*oci::parse_platform("linux/arm/v7"));
  CHECK(linux_config.platform.str() == "linux/arm/v7");
  CHECK(linux_config.config.working_dir == "/");
  CHECK(linux_config.config.env == Texts{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"});
  CHECK(scratch_config(*oci::parse_platform("windows/amd64")).config.env.empty());
}

TEST_CASE("an existing PATH is left alone") {
  oci::ImageConfig image;
  image.config.env = {"X=1", "PATH="};
  ensure_path(image, image.platform);
  CHECK(image.config.env == Texts{"X=1", "PATH="});
}

TEST_CASE("config environment is replaced in place") {
  Texts env = {"A=1", "B=2", "A=3", "C"};
  EnvPlaces places;
  set_config_env(env, places, "A", "x");
  set_config_env(env, places, "C", "y");
  set_config_env(env, places, "D", "?");
  set_config_env(env, places, "D", "z");
  CHECK(env == Texts{"A=x", "B=2", "A=3", "C=y", "D=z"});
}

TEST_CASE("WORKDIR paths") {
  CHECK(join_workdir("/a", "b/../c") == "/a/c");
  CHECK(join_workdir("", "b") == "/b");
  CHECK(join_workdir("rel", "b") == "/rel/b");
  CHECK(join_workdir("/a", "/x//y/") == "/x//y/");
  CHECK(join_workdir("/a", "") == "/a");
  CHECK(join_workdir("/a", "../..") == "/");
}

TEST_CASE("an image without layers counts as scratch unless its history knows better") {
  oci::ImageConfig image;
  CHECK(has_no_layers(image));
  image.history = {{"", "ENV A=1", "", "", true}};
  CHECK(has_no_layers(image));
  image.history.push_back({"", "RUN x", "", "", false});
  CHECK_FALSE(has_no_layers(image));
  image.history.clear();
  image.diff_ids = {sha256("x")};
  CHECK_FALSE(has_no_layers(image));
}

}  // namespace
}  // namespace cbuild::frontend
