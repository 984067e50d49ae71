// SPDX-License-Identifier: Apache-2.0
// RUN as an op: the command, the environment, mounts, and which of these are in the key.
#include <doctest/doctest.h>

#include <algorithm>

#include "frontend/lower/lower_fixture.h"

namespace cbuild::frontend {
namespace {

using testing::Build;
using testing::last_op;
using testing::own_history;
using testing::result_vertex;
using testing::step_names;
using Texts = std::vector<std::string>;

const solver::ExecOp& exec_of(const Lowered& lowered) { return std::get<solver::ExecOp>(result_vertex(lowered).op); }
const solver::ExecSettings& settings_of(const Lowered& lowered) { return result_vertex(lowered).settings; }

bool has(const Texts& list, const std::string& text) { return std::find(list.begin(), list.end(), text) != list.end(); }

template <typename Mount>
const Mount& mount_at(const solver::ExecOp& op, const std::string& target) {
  const auto found =
      std::find_if(op.mounts.begin(), op.mounts.end(), [&](const auto& m) { return m.target == target; });
  REQUIRE_MESSAGE(found != op.mounts.end(), target);
  REQUIRE(std::holds_alternative<Mount>(found->what));
  return std::get<Mount>(found->what);
}

TEST_CASE("shell form runs in the shell of the image, exec form as it stands") {
  Build build;
  CHECK(exec_of(build.run("FROM a\nRUN echo  hi\n")).argv == Texts{"/bin/sh", "-c", "echo  hi"});
  CHECK(exec_of(build.run("FROM a\nRUN [\"echo\", \"$HOME\"]\n")).argv == Texts{"echo", "$HOME"});
  CHECK(exec_of(build.run("FROM a\nSHELL [\"/bin/bash\", \"-eo\", \"pipefail\", \"-c\"]\nRUN make\n")).argv ==
        Texts{"/bin/bash", "-eo", "pipefail", "-c", "make"});
  CHECK(exec_of(build.run("FROM a\nENTRYPOINT [\"x\"]\nRUN make\n")).argv == Texts{"/bin/sh", "-c", "make"});
  CHECK(build.message("FROM a\nRUN []\n") == "arguments are required");
}

TEST_CASE("a base's shell is inherited") {
  Build build;
  build.images.images["a"] = testing::FakeImages::plain_image();
  build.images.images["a"].config.shell = Texts{"/bin/ash", "-c"};
  CHECK(exec_of(build.run("FROM a\nRUN x\n")).argv == Texts{"/bin/ash", "-c", "x"});
}

TEST_CASE("a heredoc alone is a script for the shell") {
  Build build;
  const Lowered lowered = build.run("FROM a\nRUN <<EOF\necho $A\necho b\nEOF\n");
  CHECK(exec_of(lowered).argv == Texts{"/bin/sh", "-c", "echo $A\necho b\n"});
  CHECK(exec_of(lowered).files.empty());
  CHECK(result_vertex(lowered).name == "[2/2] RUN <<EOF (echo $A...)");
  CHECK(own_history(lowered) == Texts{"RUN /bin/sh -c echo $A\necho b\n # buildkit"});
}

TEST_CASE("the script of a heredoc loses leading tabs with <<-") {
  Build build;
  CHECK(exec_of(build.run("FROM a\nRUN <<-EOF\n\techo a\n\t\techo b\n\tEOF\n")).argv.back() == "echo a\necho b\n");
}

TEST_CASE("any shell can run a heredoc") {
  Build build;
  CHECK(exec_of(build.run("FROM a\nSHELL [\"awk\"]\nRUN <<EOF\nBEGIN {}\nEOF\n")).argv == Texts{"awk", "BEGIN {}\n"});
}

TEST_CASE("a heredoc that begins with #! is run as a file") {
  Build build;
  const Lowered lowered = build.run("FROM a\nRUN <<'S P'\n#!/usr/bin/python3\nprint(1)\nS P\n");
  const solver::ExecOp& op = exec_of(lowered);
  CHECK(op.argv == Texts{"/bin/sh", "-c", "/dev/pipes/S P"});
  CHECK(op.files == std::vector<solver::InlineFile>{{"/dev/pipes/S P", "#!/usr/bin/python3\nprint(1)\n", 0755}});
  CHECK(own_history(lowered) == Texts{"RUN /bin/sh -c /dev/pipes/S P # buildkit"});
}

TEST_CASE("other heredocs are put together again for the shell, tabs and all") {
  Build build;
  const Lowered lowered = build.run("FROM a\nRUN cat <<-A >x && cat 3<<B\n\tone\n\tA\ntwo\nB\n");
  CHECK(exec_of(lowered).argv.back() == "cat <<-A >x && cat 3<<B\n\tone\nA\ntwo\nB");
  CHECK(result_vertex(lowered).name == "[2/2] RUN cat <<-A >x && cat 3<<B");
}

TEST_CASE("the environment is the image's, then arguments, in the order of the last setting") {
  Build build;
  build.options.build_args = {{"GIVEN", "user"}};
  const Lowered lowered =
      build.run("ARG GLOBAL=g\nFROM a\nENV E=1\nARG GIVEN=x\nARG GLOBAL\nARG NONE\nARG EMPTY=\nENV E=2\nRUN x\n");
  CHECK(exec_of(lowered).environment == Texts{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                                              "GIVEN=user", "GLOBAL=g", "EMPTY=", "E=2"});
  CHECK(own_history(lowered).back() == "RUN |4 GIVEN=user GLOBAL=g NONE= EMPTY= /bin/sh -c x # buildkit");
}

TEST_CASE("of an ENV and an ARG of one name the last one executed wins in the build, ENV in the image") {
  Build build;
  const Lowered arg_last = build.run("FROM a\nENV X=env\nARG X=arg\nRUN x\n");
  CHECK(has(exec_of(arg_last).environment, "X=arg"));
  CHECK(has(arg_last.target.config.config.env, "X=env"));
  const Lowered env_last = build.run("FROM a\nARG X=arg\nENV X=env\nRUN x\n");
  CHECK(has(exec_of(env_last).environment, "X=env"));
  CHECK(own_history(env_last).back() == "RUN |1 X=env /bin/sh -c x # buildkit");
}

TEST_CASE("arguments pass on to a stage made of this one, the image's ENV going over them") {
  Build build;
  const Lowered lowered = build.run("FROM a AS x\nENV E=env\nARG E=arg A=1\nFROM x\nRUN y\n");
  CHECK(has(exec_of(lowered).environment, "A=1"));
  CHECK(has(exec_of(lowered).environment, "E=env"));
  CHECK(own_history(lowered).back() == "RUN |2 E=env A=1 /bin/sh -c y # buildkit");
  CHECK_FALSE(has(lowered.target.config.config.env, "A=1"));
}

TEST_CASE("a PATH is always there") {
  Build build;
  CHECK(exec_of(build.run("FROM scratch\nRUN x\n")).environment ==
        Texts{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"});
  build.images.images["nopath"] = testing::FakeImages::plain_image();
  build.images.images["nopath"].config.env = {"A=1"};
  const Lowered lowered = build.run("FROM nopath\nRUN x\n");
  CHECK(lowered.target.config.config.env ==
        Texts{"A=1", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"});
}

TEST_CASE("proxies are not part of the key and stay out of history, unless they are declared") {
  Build build;
  build.options.build_args = {{"http_proxy", "http://p"}, {"NO_PROXY", "x"}};
  const Lowered plain = build.run("FROM a\nRUN x\n");
  CHECK(settings_of(plain).proxy_environment ==
        Texts{"HTTP_PROXY=http://p", "http_proxy=http://p", "NO_PROXY=x", "no_proxy=x"});
  CHECK_FALSE(has(exec_of(plain).environment, "http_proxy=http://p"));
  CHECK(own_history(plain) == Texts{"RUN /bin/sh -c x # buildkit"});
  const Lowered declared = build.run("FROM a\nARG http_proxy\nRUN x\n");
  CHECK(has(exec_of(declared).environment, "http_proxy=http://p"));
  CHECK(own_history(declared).back() == "RUN |1 http_proxy=http://p /bin/sh -c x # buildkit");
}

TEST_CASE("undeclared platform arguments and proxies do not change the vertex") {
  Build build;
  const Digest before = result_vertex(build.run("FROM a\nRUN x\n")).digest;
  build.options.build_args = {{"HTTP_PROXY", "p"}, {"UNDECLARED", "1"}, {"TARGETARCH", "riscv64"}};
  CHECK(result_vertex(build.run("FROM a\nRUN x\n")).digest == before);
  build.options.extra_hosts = {"h=1.2.3.4"};
  CHECK(result_vertex(build.run("FROM a\nRUN x\n")).digest != before);
}

TEST_CASE("directory, user and platform") {
  Build build;
  const Lowered lowered = build.run("FROM --platform=linux/arm64 a\nWORKDIR /w\nWORKDIR sub\nUSER u:g\nRUN x\n");
  CHECK(exec_of(lowered).working_dir == "/w/sub");
  CHECK(exec_of(lowered).user == "u:g");
  CHECK(exec_of(lowered).platform == "linux/arm64");
}

TEST_CASE("settings of the build as a whole") {
  Build build;
  build.options.hostname = "h";
  build.options.extra_hosts = {"db=10.0.0.1"};
  build.options.ulimits = {{"nofile", 1, 2}};
  build.options.shm_size = 4096;
  build.options.cgroup_parent = "/cg";
  const Lowered lowered = build.run("FROM a\nRUN x\n");
  CHECK(exec_of(lowered).hostname == "h");
  CHECK(exec_of(lowered).host_names == Texts{"db"});
  CHECK(settings_of(lowered).extra_hosts == Texts{"db=10.0.0.1"});
  CHECK(settings_of(lowered).ulimits == std::vector<Ulimit>{{"nofile", 1, 2}});
  CHECK(settings_of(lowered).shm_size == 4096);
  CHECK(settings_of(lowered).cgroup_parent == "/cg");
  build.options.build_args = {{"BUILDKIT_SANDBOX_HOSTNAME", "other"}};
  CHECK(exec_of(build.run("FROM a\nRUN x\n")).hostname == "other");
}

TEST_CASE("network modes") {
  Build build;
  CHECK(exec_of(build.run("FROM a\nRUN x\n")).network == NetworkMode::host);
  CHECK(exec_of(build.run("FROM a\nRUN --network=none x\n")).network == NetworkMode::none);
  CHECK(exec_of(build.run("FROM a\nRUN --network=host x\n")).network == NetworkMode::host);
  CHECK(exec_of(build.run("FROM a\nRUN --network=default x\n")).network == NetworkMode::host);
  build.options.network = "none";
  CHECK(exec_of(build.run("FROM a\nRUN --network=default x\n")).network == NetworkMode::none);
  CHECK(build.message("FROM a\nRUN --network=host x\n") == "network.host is not allowed");
  CHECK(build.hint("FROM a\nRUN --network=host x\n") == "pass --allow network.host to the build");
  build.options.allow = {"network.host"};
  CHECK(exec_of(build.run("FROM a\nRUN --network=host x\n")).network == NetworkMode::host);
  for (const char* name : {"sandbox", "site"}) {
    build.options.network = name;
    build.options.allow = {"network.host"};
    const solver::ExecSettings own = settings_of(build.run("FROM a\nRUN --network=default x\n"));
    CHECK(own.own_network);
    CHECK(exec_of(build.run("FROM a\nRUN x\n")).network == NetworkMode::host);
    CHECK_FALSE(settings_of(build.run("FROM a\nRUN --network=host x\n")).own_network);
    CHECK_FALSE(settings_of(build.run("FROM a\nRUN --network=none x\n")).own_network);
    build.options.allow.clear();
    CHECK(build.message("FROM a\nRUN --network=host x\n") == "network.host is not allowed");
  }
  for (const char* name : {"", "default", "host", "none"}) {
    build.options.network = name;
    CHECK_FALSE(settings_of(build.run("FROM a\nRUN x\n")).own_network);
  }
  CHECK(build.message("FROM a\nRUN --network=bridge x\n") == "invalid network mode \"bridge\"");
}

TEST_CASE("insecure steps need to be allowed") {
  Build build;
  CHECK(build.message("FROM a\nRUN --security=insecure x\n") == "security.insecure is not allowed");
  CHECK_FALSE(exec_of(build.run("FROM a\nRUN --security=sandbox x\n")).insecure);
  build.options.allow = {"security.insecure"};
  CHECK(exec_of(build.run("FROM a\nRUN --security=insecure x\n")).insecure);
  CHECK(build.message("FROM a\nRUN --security=loose x\n") == "security \"loose\" is not valid");
}

TEST_CASE("wrong modes are found in stages that are not reached") {
  Build build;
  CHECK(build.message("FROM a\nRUN --network=bridge x\nFROM scratch\n") == "invalid network mode \"bridge\"");
}

TEST_CASE("bind mounts") {
  Build build;
  const Lowered lowered = build.run(
      "FROM a AS tools\nFROM b\nWORKDIR /w\n"
      "RUN --mount=target=src --mount=from=tools,source=bin/../lib,target=/t,rw"
      " --mount=from=alpine:3,target=/img --mount=type=bind,source=f,target=/f x\n");
  const solver::Vertex& vertex = result_vertex(lowered);
  const solver::ExecOp& op = exec_of(lowered);
  CHECK(mount_at<solver::BindMount>(op, "/w/src") == solver::BindMount{1, "/", true});
  CHECK(mount_at<solver::BindMount>(op, "/t") == solver::BindMount{2, "/lib", false});
  CHECK(mount_at<solver::BindMount>(op, "/img") == solver::BindMount{3, "/", true});
  CHECK(mount_at<solver::BindMount>(op, "/f") == solver::BindMount{1, "/f", true});
  REQUIRE(vertex.inputs.size() == 4);
  CHECK(std::get<solver::LocalSource>(lowered.graph[vertex.inputs[1]].op).path == "/ctx");
  CHECK(std::get<solver::ImageSource>(lowered.graph[vertex.inputs[2]].op).locator == "fake://a");
  CHECK(std::get<solver::ImageSource>(lowered.graph[vertex.inputs[3]].op).locator == "fake://alpine:3");
}

TEST_CASE("mounts are ordered so that parents come first, equal targets as written") {
  Build build;
  const solver::ExecOp op =
      exec_of(build.run("FROM a\nRUN --mount=type=tmpfs,target=/x/y --mount=type=tmpfs,target=/x,size=1k "
                        "--mount=type=cache,target=/x x\n"));
  REQUIRE(op.mounts.size() == 3);
  CHECK(op.mounts[0].target == "/x");
  CHECK(std::holds_alternative<solver::TmpfsMount>(op.mounts[0].what));
  CHECK(std::holds_alternative<solver::CacheMount>(op.mounts[1].what));
  CHECK(op.mounts[2].target == "/x/y");
  CHECK(std::get<solver::TmpfsMount>(op.mounts[0].what).size_bytes == 1024);
}

TEST_CASE("cache mounts") {
  Build build;
  const std::string text =
      "FROM a AS seed\nFROM b\nWORKDIR /w\nRUN --mount=type=cache,target=./c/ "
      "--mount=type=cache,id=named,target=/n,sharing=locked,ro"
      " --mount=type=cache,target=/m,mode=0700,uid=5,gid=6,sharing=private"
      " --mount=type=cache,target=/s,from=seed,source=data,uid=7 x\n";
  Lowered lowered = build.run(text);
  solver::ExecOp op = exec_of(lowered);
  using solver::CacheMount;
  CHECK(mount_at<CacheMount>(op, "/w/c") == CacheMount{.id = "c"});
  CHECK(mount_at<CacheMount>(op, "/n") ==
        CacheMount{.id = "named", .sharing = solver::Sharing::locked, .read_only = true});
  CHECK(mount_at<CacheMount>(op, "/m") ==
        CacheMount{.id = "/m", .sharing = solver::Sharing::private_, .mode = 0700, .uid = 5, .gid = 6});
  CHECK(mount_at<CacheMount>(op, "/s") == CacheMount{.id = "/s", .input = 1, .source = "/data"});
  CHECK(result_vertex(lowered).inputs.size() == 2);
  build.options.build_args = {{"BUILDKIT_CACHE_MOUNT_NS", "team"}};
  CHECK(mount_at<CacheMount>(exec_of(build.run(text)), "/n").id == "team/named");
}

TEST_CASE("secrets") {
  Build build;
  const Lowered lowered = build.run(
      "FROM a\nRUN --mount=type=secret,id=dir/tok --mount=type=secret,target=/etc/key,required,mode=0440,uid=1,gid=2"
      " --mount=type=secret,id=e,env=TOKEN --mount=type=secret,source=s,env=BOTH,target=both x\n");
  const solver::ExecOp& op = exec_of(lowered);
  using solver::SecretMount;
  CHECK(mount_at<SecretMount>(op, "/run/secrets/tok") == SecretMount{.id = "dir/tok"});
  CHECK(mount_at<SecretMount>(op, "/etc/key") ==
        SecretMount{.id = "key", .required = true, .mode = 0440, .uid = 1, .gid = 2});
  CHECK(mount_at<SecretMount>(op, "") == SecretMount{.id = "e", .env_name = "TOKEN", .as_file = false});
  CHECK(mount_at<SecretMount>(op, "/both") == SecretMount{.id = "s", .env_name = "BOTH"});
}

TEST_CASE("relative targets of secrets and sockets lie below the working directory") {
  Build build;
  const solver::ExecOp op = exec_of(
      build.run("FROM a\nWORKDIR /w/d\nRUN --mount=type=secret,target=rel/key --mount=type=secret,id=u,target=../up"
                " --mount=type=ssh,target=sock x\n"));
  CHECK(mount_at<solver::SecretMount>(op, "/w/d/rel/key") == solver::SecretMount{.id = "key"});
  CHECK(mount_at<solver::SecretMount>(op, "/w/up") == solver::SecretMount{.id = "u"});
  CHECK(mount_at<solver::SshMount>(op, "/w/d/sock") == solver::SshMount{.id = "default"});
  CHECK(std::count(op.environment.begin(), op.environment.end(), "SSH_AUTH_SOCK=/w/d/sock") == 1);
}

TEST_CASE("a secret's hash is part of the op only where it is given") {
  Build build;
  const std::string file = "FROM a\nRUN --mount=type=secret,id=s --mount=type=secret,id=t x\n";
  const std::string plain = solver::canonical(exec_of(build.run(file)));
  build.options.secret_hashes = {{"t", "h"}};
  const Lowered lowered = build.run(file);
  CHECK(mount_at<solver::SecretMount>(exec_of(lowered), "/run/secrets/s").value_hash.empty());
  CHECK(mount_at<solver::SecretMount>(exec_of(lowered), "/run/secrets/t").value_hash == "h");
  CHECK(solver::canonical(exec_of(lowered)) != plain);
}

TEST_CASE("which variables are there by ARG") {
  Build build;
  build.options.build_args = {{"G", "1"}};
  const Lowered lowered = build.run("FROM a\nARG A=1\nARG UNSET\nARG G\nARG E=1\nENV E=2\nENV F=1\nRUN x\n");
  CHECK(settings_of(lowered).argument_names == std::vector<std::string>{"A", "G"});
}

TEST_CASE("no-cache for single instructions: a line of a stage") {
  Build build;
  const std::string file = "FROM a AS one\nRUN x\nRUN y \\\n  z\nFROM one AS two\nRUN w\nCOPY f /\n";
  const auto ignored = [&](std::vector<std::string> filter) {
    build.options.no_cache_filter = std::move(filter);
    const Lowered lowered = build.run(file);
    std::string out;
    for (solver::VertexId id = 0; id < lowered.graph.size(); ++id)
      if (lowered.graph[id].ignore_cache)
        out += lowered.graph[id].name.substr(lowered.graph[id].name.find("] ") + 2, 5) + ";";
    return out;
  };
  CHECK(ignored({}) == "");
  CHECK(ignored({"one:2"}) == "RUN x;");
  CHECK(ignored({"ONE:4"}) == "RUN y;");
  CHECK(ignored({"two:2"}) == "");
  CHECK(ignored({":6", "two:7"}) == "RUN w;COPY ;");
  CHECK(ignored({"two"}) == "RUN w;COPY ;");
  CHECK(ignored({"two:x"}) == "");
}

TEST_CASE("the step name hides a secret's variable") {
  Build build;
  const Lowered lowered =
      build.run("FROM a\nENV TOKEN=old A=1\nRUN --mount=type=secret,id=t,env=TOKEN login \"$TOKEN\" $A $B\n");
  CHECK(result_vertex(lowered).name == "[stage-0 2/2] RUN --mount=type=secret,id=t,env=TOKEN login \"****\" 1 $B");
}

TEST_CASE("agent sockets") {
  Build build;
  const Lowered lowered = build.run(
      "FROM a\nRUN --mount=type=ssh,required --mount=type=ssh,id=other,target=/s,mode=0666 --mount=type=ssh,id=third "
      "x\n");
  const solver::ExecOp& op = exec_of(lowered);
  using solver::SshMount;
  CHECK(mount_at<SshMount>(op, "/run/buildkit/ssh_agent.0") == SshMount{.id = "default", .required = true});
  CHECK(mount_at<SshMount>(op, "/s") == SshMount{.id = "other", .mode = 0666});
  CHECK(mount_at<SshMount>(op, "/run/buildkit/ssh_agent.2") == SshMount{.id = "third"});
  CHECK(op.environment.back() == "SSH_AUTH_SOCK=/run/buildkit/ssh_agent.0");
  CHECK(exec_of(build.run("FROM a\nENV SSH_AUTH_SOCK=/mine\nRUN --mount=type=ssh x\n")).environment.back() ==
        "SSH_AUTH_SOCK=/mine");
  CHECK(build.message("FROM a\nRUN --mount=type=ssh,source=x x\n") == "ssh does not support source");
}

TEST_CASE("mount values are expanded, from= is not") {
  Build build;
  const Lowered lowered =
      build.run("ARG T=never\nFROM a\nARG T=cache\nENV DIR=/d\nRUN --mount=type=$T,target=${DIR}/x,id=$T x\n");
  CHECK(mount_at<solver::CacheMount>(exec_of(lowered), "/d/x").id == "cache");
  CHECK(build.message("FROM a\nRUN --mount=from=$X,target=/x x\n") ==
        "'from' doesn't support variable expansion, define alias stage instead");
}

TEST_CASE("mount errors") {
  Build build;
  CHECK(build.message("FROM a\nRUN --mount=target=/ x\n") == "invalid mount target \"/\"");
  CHECK(build.message("FROM a\nRUN --mount=type=tmpfs x\n") == "invalid mount target \"/\"");
  CHECK(build.message("FROM a AS one\nRUN --mount=from=two,target=/x x\nFROM one AS two\nRUN y\n") ==
        "cannot mount from stage \"two\" to \"/x\", stage needs to be defined before current command");
}

TEST_CASE("no cache marks the step") {
  Build build;
  CHECK_FALSE(result_vertex(build.run("FROM a\nRUN x\n")).ignore_cache);
  build.options.no_cache = true;
  CHECK(result_vertex(build.run("FROM a\nRUN x\n")).ignore_cache);
}

TEST_CASE("timeout, retry and resources") {
  Build build;
  const solver::ExecSettings settings = settings_of(build.run("FROM a\nRUN --timeout=90s --retry=3 x\n"));
  CHECK(settings.timeout_ns == 90'000'000'000);
  CHECK(settings.retries == 3);
  build.options.step_timeout_ns = 5;
  build.options.step_retries = 2;
  CHECK(settings_of(build.run("FROM a\nRUN --timeout=0 --retry=0 x\n")).timeout_ns == 0);
  CHECK(settings_of(build.run("FROM a\nRUN --timeout=0 --retry=0 x\n")).retries == 0);
  CHECK(settings_of(build.run("FROM a\nRUN x\n")).timeout_ns == 5);
  CHECK(settings_of(build.run("FROM a\nRUN x\n")).retries == 2);
  CHECK(settings_of(build.run("FROM a\nRUN --resource=memory=1g --resource=cpu-shares=64 x\n")).resources ==
        Resources{.memory_bytes = std::int64_t{1} << 30, .cpu_shares = 64});
  CHECK(build.message("FROM a\nRUN --resource=memory x\n") == "--resource: 'memory' is not KEY=VALUE");
  CHECK(build.message("FROM a\nRUN --timeout=soon x\n") == "invalid value \"soon\" for --timeout");
  CHECK(build.message("FROM a\nRUN --retry=-1 x\n") == "invalid value \"-1\" for --retry");
}

}  // namespace
}  // namespace cbuild::frontend
