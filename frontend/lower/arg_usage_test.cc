// SPDX-License-Identifier: Apache-2.0
#include "frontend/lower/arg_usage.h"

#include <doctest/doctest.h>

#include "frontend/lower/lower_fixture.h"

namespace cbuild::frontend {
namespace {

ArgUsage of(const std::string& text) { return arg_usage({"/bin/sh", "-c", text}, true); }

TEST_CASE("ARGs named in the text are used, the others are not") {
  for (const char* text :
       {"echo $V", "echo ${V}", "echo \"x ${V:-1}\"", "printf '%s' \"$V\" > /f", "mkdir -p /a && echo $V",
        "echo a;echo $V", "test -n \"$V\" || echo no", "if [ -n \"$V\" ]; then echo x; fi",
        "echo $(cat /f | tr a b) $V", "for i in 1 2; do echo $i $V; done", "X=$V echo x", "set -eux; echo $V",
        "(cd /x && echo $V)", "echo a \\\n && echo $V", "echo x 2>&1 >/dev/null $V", "/bin/echo $V # comment"}) {
    CAPTURE(text);
    const ArgUsage usage = of(text);
    CHECK_FALSE(usage.all);
    CHECK(usage.uses("V"));
    CHECK_FALSE(usage.uses("OTHER"));
    CHECK_FALSE(usage.uses("VV"));
  }
}

TEST_CASE("a command that may read the environment by itself uses all") {
  for (const char* text : {"env",
                           "printenv",
                           "export",
                           "set",
                           "make",
                           "./run.sh",
                           "sh run.sh",
                           "bash -c 'echo 1'",
                           "python3 x.py",
                           "eval echo",
                           ". /f",
                           "source /f",
                           "echo `env`",
                           "echo $(env)",
                           "echo a && make",
                           "echo a | sh",
                           "$CMD",
                           "\"$CMD\" x",
                           "f() { env; }; f",
                           "case x in x) env;; esac",
                           "echo ${!V}",
                           "echo $((1+1))",
                           "cat <<E\nE\n",
                           "cat <(env)",
                           "xargs env",
                           "find . -exec env",
                           "exec env",
                           "command env",
                           "awk 1",
                           "gcc x.c",
                           "set -a; echo x",
                           "sed 1e x",
                           "tar --to-command=env -xf a",
                           "echo $'a\\'; env; echo '",
                           "echo $\"x\"",
                           "e\\nv",
                           "echo 'unclosed",
                           "/opt/bin/echo x",
                           "declare -p",
                           "trap env EXIT",
                           "if make; then echo x; fi",
                           "! env",
                           "time env",
                           "for i in 1; do make; done",
                           "A=1 env",
                           "echo x\nenv",
                           "> /f env"}) {
    CAPTURE(text);
    CHECK(of(text).all);
  }
}

TEST_CASE("only a shell with a text is read") {
  CHECK(arg_usage({"echo", "x"}, true).all);
  CHECK(arg_usage({"/bin/sh", "x.sh"}, true).all);
  CHECK(arg_usage({"/bin/zsh", "-c", "echo"}, true).all);
  CHECK(arg_usage({"/bin/sh", "-c", "echo"}, false).all);
  CHECK(arg_usage({"/bin/bash", "-l", "-c", "echo"}, true).all);
  CHECK_FALSE(arg_usage({"/bin/bash", "-eo", "pipefail", "-c", "echo"}, true).all);
  CHECK_FALSE(arg_usage({"/bin/bash", "-ec", "echo"}, true).all);
  CHECK(arg_usage({"/bin/sh", "-c", "echo", "x"}, true).all);
}

TEST_CASE("variables that programs and the system read by themselves count") {
  CHECK(of("echo").uses("PATH"));
  CHECK(of("echo").uses("LC_ALL"));
  CHECK(of("curl http://x").uses("https_proxy"));
  CHECK_FALSE(of("echo").uses("https_proxy"));
  CHECK(of("apt-get update && apt-get install -y git").uses("DEBIAN_FRONTEND"));
  CHECK_FALSE(of("apt-get install -y git").uses("GIT_SHA"));
  CHECK(of("tar xf a").uses("TAR_OPTIONS"));
}

TEST_CASE("with the option unused ARGs are in the environment but not in the key; ENV always counts") {
  testing::Build build;
  build.options.only_used_args = true;
  const std::string file = "FROM a\nARG USED=1\nARG UNUSED=1\nENV E=1\nRUN echo $USED\n";
  const auto op_of = [&](const std::string& unused, const std::string& used) {
    build.options.build_args = {{"UNUSED", unused}, {"USED", used}};
    return std::get<solver::ExecOp>(testing::result_vertex(build.run(file)).op);
  };
  const solver::ExecOp op = op_of("x", "1");
  CHECK(testing::result_vertex(build.run(file)).settings.unkeyed_environment == std::vector<std::string>{"UNUSED=x"});
  CHECK(solver::canonical(op) == solver::canonical(op_of("y", "1")));
  CHECK(solver::canonical(op) != solver::canonical(op_of("x", "2")));
  build.options.only_used_args = false;
  CHECK(solver::canonical(op_of("x", "1")) != solver::canonical(op_of("y", "1")));
}

}  // namespace
}  // namespace cbuild::frontend
