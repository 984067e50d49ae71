// SPDX-License-Identifier: Apache-2.0
#include "oci/routes/routes.h"

#include <doctest/doctest.h>

#include <fstream>

#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::oci::routes {
namespace {

struct RoutesFixture {
  TempDir dir = TempDir::in_tmp("routes-test");
  ConfigFiles files;

  std::string write(const std::string& name, const std::string& text) {
    const std::string path = join_path(dir.path(), name);
    sys::mkdir_all(AT_FDCWD, dir_name(path), 0755);
    std::ofstream(path) << text;
    return path;
  }
  void registries(const std::string& text) { files.registries_conf = {write("registries.conf", text)}; }
  void hosts(const std::string& host, const std::string& text) {
    write(cat("hosts/", host, "/hosts.toml"), text);
    files.hosts_dirs = {join_path(dir.path(), "hosts")};
  }
  /// "NAME[ insecure]" of each place, in order.
  std::vector<std::string> read(const std::string& image, Asking asking = Asking::tag) const {
    std::vector<std::string> out;
    for (const Route& route : Routes(files).reading(parse_reference(image), asking))
      out.push_back(cat(route.scheme, route.scheme.empty() ? "" : "://", route.name(),
                        route.root == "/v2" ? "" : route.root, route.insecure ? " insecure" : "",
                        route.upstream.empty() ? "" : " ns=" + route.upstream));
    return out;
  }
  std::string refusal(const std::string& image) const {
    try {
      read(image);
    } catch (const Error& error) {
      return error.what();
    }
    return {};
  }
};

using Names = std::vector<std::string>;

TEST_CASE("prefixes match whole parts of a name") {
  CHECK(match_prefix("example.com/a/b:1", "example.com") == 11);
  CHECK(match_prefix("example.com/a/b:1", "example.com/a") == 13);
  CHECK(match_prefix("example.com/a/b:1", "example.com/a/b:1") == 17);
  CHECK(match_prefix("example.com/a/b:1", "example.com/a/b") == 15);
  CHECK_FALSE(match_prefix("example.com:5000/a", "example.com"));
  CHECK_FALSE(match_prefix("example.com/ab", "example.com/a"));
  CHECK(match_prefix("a.b.example.com/x", "*.example.com") == 15);
  CHECK(match_prefix("a.example.com/x/y:1", "*.example.com/x") == 15);
  CHECK_FALSE(match_prefix("example.com/x", "*.example.com"));
  CHECK_FALSE(match_prefix("evil.org/a.example.com/x", "*.example.com"));
  CHECK_FALSE(match_prefix("a.example.com.org/x", "*.example.com"));
}

TEST_CASE_FIXTURE(RoutesFixture, "without files an image is where its name says") {
  CHECK(read("busybox") == Names{"docker.io/library/busybox"});
  CHECK(Routes(files).reading(parse_reference("busybox"), Asking::tag)[0].host == "registry-1.docker.io");
  CHECK(Routes(files).writing(parse_reference("h:5/a")).file == "");
}

TEST_CASE_FIXTURE(RoutesFixture, "registries.conf: mirrors, rewriting, use by tag or digest") {
  registries(R"(
unqualified-search-registries = ["quay.io"]
[[registry]]
prefix = "docker.io"
location = "hub.corp:5000/hub"
[[registry.mirror]]
location = "near.corp/cache"
insecure = true
[[registry.mirror]]
location = "digests.corp"
pull-from-mirror = "digest-only"
[[registry.mirror]]
location = "tags/sub"
pull-from-mirror = "tag-only"
[[registry]]
prefix = "docker.io/library/own"
location = "docker.io/me/own"
[[registry]]
prefix = "*.corp.example"
location = "one.example/all"
[[registry]]
location = "plain.example"
insecure = true
[aliases]
"busybox" = "quay.io/busybox"
)");
  CHECK(read("busybox:1") == Names{"near.corp/cache/library/busybox insecure", "tags/sub/library/busybox",
                                   "hub.corp:5000/hub/library/busybox"});
  const std::string pinned = cat("busybox@sha256:", std::string(64, 'a'));
  CHECK(read(pinned, Asking::digest) == Names{"near.corp/cache/library/busybox insecure",
                                              "digests.corp/library/busybox", "hub.corp:5000/hub/library/busybox"});
  CHECK(read("busybox:1", Asking::blob).size() == 4);
  CHECK(read("own:2") == Names{"docker.io/me/own"});
  CHECK(read("a.corp.example/x") == Names{"one.example/all/x"});
  CHECK(read("plain.example/x") == Names{"plain.example/x insecure"});
  CHECK(read("other.example/x") == Names{"other.example/x"});
  const auto routes = Routes(files).reading(parse_reference("busybox:1"), Asking::tag);
  CHECK(routes[0].is_mirror);
  CHECK_FALSE(routes[2].is_mirror);
  CHECK(routes[0].reference.tag == "1");
  CHECK(routes[0].file == files.registries_conf[0]);
  SUBCASE("a push goes where the name says") {
    const Route pushed = Routes(files).writing(parse_reference("busybox:1"));
    CHECK(pushed.host == "registry-1.docker.io");
    CHECK(pushed.reference == parse_reference("busybox:1"));
    CHECK(Routes(files).writing(parse_reference("plain.example/x")).insecure);
  }
}

TEST_CASE_FIXTURE(RoutesFixture, "registries.conf: blocked names are refused for both directions, version 1 too") {
  SUBCASE("version 2") { registries("[[registry]]\nprefix = \"bad.example/x\"\nblocked = true\n"); }
  SUBCASE("version 1") { registries("[registries.block]\nregistries = [\"bad.example/x\"]\n"); }
  CHECK(refusal("bad.example/x/y") == cat("bad.example/x is blocked in ", files.registries_conf[0]));
  CHECK(refusal("bad.example/z") == "");
  CHECK_THROWS_AS(Routes(files).writing(parse_reference("bad.example/x/y")), Error);
}

TEST_CASE_FIXTURE(RoutesFixture, "registries.conf.d: a later file takes the place of a table") {
  registries("[[registry]]\nprefix = \"a.example\"\nlocation = \"one.example\"\n");
  write("d/10.conf", "[[registry]]\nprefix = \"a.example\"\nlocation = \"two.example\"\n");
  write("d/20.conf", "[[registry]]\nprefix = \"b.example\"\nlocation = \"three.example\"\n");
  write("d/30.off", "[[registry]]\nprefix = \"b.example\"\nlocation = \"four.example\"\n");
  files.registries_conf_dirs = {join_path(dir.path(), "d")};
  CHECK(read("a.example/x") == Names{"two.example/x"});
  CHECK(read("b.example/x") == Names{"three.example/x"});
}

TEST_CASE_FIXTURE(RoutesFixture, "broken files are named with their line") {
  registries("[[registry]]\nprefix = 5\n");
  CHECK(refusal("a").find("registries.conf: prefix is not a string") != std::string::npos);
  registries("x = \n");
  CHECK(refusal("a").find("registries.conf:1: ") != std::string::npos);
  registries("[[registry]]\nprefix=\"a\"\n[[registry.mirror]]\nlocation=\"b\"\npull-from-mirror=\"some\"\n");
  CHECK(refusal("a").find("\"some\" is not all, digest-only or tag-only") != std::string::npos);
  registries("[[registry]]\nlocation = \"https://a.example\"\n");
  CHECK(refusal("a").find("has a scheme") != std::string::npos);
  files = {};
  files.registries_conf = {join_path(dir.path(), "missing")};
  CHECK(refusal("a") == "");
  files.registries_conf_is_named = true;
  CHECK(refusal("a") == cat(files.registries_conf[0], " does not exist"));
}

TEST_CASE_FIXTURE(RoutesFixture, "hosts.toml: order of the text, capabilities, roots") {
  hosts("h.example_5000_", R"(
server = "https://real.example"
[host."https://z.example"]
  capabilities = ["pull", "resolve"]
[host."http://a.example:80/v2/sub"]
  override_path = true
  [host."http://a.example:80/v2/sub".header]
    x-team = ["one", "two"]
[host."b.example/sub"]
  capabilities = ["pull"]
[host."https://c.example"]
  capabilities = ["push"]
)");
  CHECK(read("h.example:5000/x") == Names{"https://z.example/x ns=h.example:5000",
                                          "http://a.example/x/v2/sub ns=h.example:5000",
                                          "https://real.example/x ns=h.example:5000"});
  CHECK(read("h.example:5000/x", Asking::digest)[2] == "https://b.example/x/sub/v2 ns=h.example:5000");
  const auto routes = Routes(files).reading(parse_reference("h.example:5000/x"), Asking::tag);
  CHECK(routes[1].headers == http::HeaderList{{"x-team", "one"}, {"x-team", "two"}});
  CHECK(Routes(files).writing(parse_reference("h.example:5000/x")).host == "real.example");
  CHECK(read("other.example/x") == Names{"other.example/x"});
}

TEST_CASE_FIXTURE(RoutesFixture, "hosts.toml: certificates, and the registry's own table") {
  write("hosts/r.example/ca.crt", "PEM");
  write("hosts/r.example/both.pem", "PEM");
  hosts("r.example", R"(
[host."https://r.example"]
  ca = "ca.crt"
  client = [["both.pem", "both.pem"]]
  skip_verify = true
  dial_timeout = "2s"
)");
  const auto routes = Routes(files).reading(parse_reference("r.example/x"), Asking::tag);
  REQUIRE(routes.size() == 1);
  CHECK(routes[0].tls.extra_ca == "PEM\n");
  const std::string both = join_path(dir.path(), "hosts/r.example/both.pem");
  CHECK(routes[0].clients == std::vector<ClientPair>{{both, both}});
  CHECK_FALSE(routes[0].tls.verify);
  CHECK(routes[0].dial == std::chrono::milliseconds(2000));
  CHECK(Routes(files).writing(parse_reference("r.example/x")).tls == routes[0].tls);
  CHECK_FALSE(routes[0].is_mirror);
}

TEST_CASE_FIXTURE(RoutesFixture, "hosts.toml: client certificates in each form, in their order") {
  const auto path = [&](const char* name) { return join_path(dir.path(), cat("hosts/r.example/", name)); };
  for (const char* name : {"a.pem", "b.pem", "b.key"}) write(cat("hosts/r.example/", name), "PEM");
  const auto clients = [&](const std::string& text) {
    hosts("r.example", cat("[host.\"https://r.example\"]\nclient = ", text, "\n"));
    return Routes(files).reading(parse_reference("r.example/x"), Asking::tag)[0].clients;
  };
  using Pairs = std::vector<ClientPair>;
  const ClientPair a{path("a.pem"), path("a.pem")}, b{path("b.pem"), path("b.key")};
  CHECK(clients("\"a.pem\"") == Pairs{a});
  CHECK(clients("[\"a.pem\", \"b.pem\"]") == Pairs{a, {path("b.pem"), path("b.pem")}});
  CHECK(clients("[[\"a.pem\"], [\"b.pem\", \"b.key\"], [\"a.pem\", \"\"]]") == Pairs{a, b, a});
  CHECK_THROWS_AS(clients("[[\"a.pem\", \"b.pem\", \"c\"]]"), Error);
  CHECK_THROWS_AS(clients("[5]"), Error);
}

TEST_CASE_FIXTURE(RoutesFixture, "buildkitd.toml: mirrors, and how each host is reached") {
  write("b/ca.pem", "PEM");
  write("b/my.cert", "PEM");
  write("b/my.key", "PEM");
  write("b/dir/extra.crt", "CRT");
  write("b/dir/own.cert", "PEM");
  write("b/dir/own.key", "PEM");
  files.buildkitd_toml = {join_path(dir.path(), "none.toml"), write("b/buildkitd.toml", R"(
debug = true
[registry."docker.io"]
  mirrors = ["near.example:5000", "https://hub.example/proxy/"]
[registry."near.example:5000"]
  http = true
[registry."hub.example"]
  http = true
  insecure = true
[registry."tls.example"]
  insecure = true
  ca = ["ca.pem"]
  tlsconfigdir = ["dir", "absent"]
  [[registry."tls.example".keypair]]
    cert = "my.cert"
    key = "my.key"
[registry."localhost:5000"]
  http = false
)")};
  CHECK(read("busybox:1") == Names{"http://near.example:5000/library/busybox ns=docker.io",
                                   "hub.example/library/busybox/v2/proxy insecure ns=docker.io",
                                   "docker.io/library/busybox"});
  CHECK(Routes(files).reading(parse_reference("busybox"), Asking::tag)[0].is_mirror);
  CHECK(read("localhost:5000/x") == Names{"https://localhost:5000/x"});
  CHECK(read("near.example:5000/x") == Names{"http://near.example:5000/x"});
  CHECK(read("other.example/x") == Names{"other.example/x"});
  const Route tls = Routes(files).writing(parse_reference("tls.example/x"));
  CHECK_FALSE(tls.insecure);
  CHECK_FALSE(tls.tls.verify);
  CHECK(tls.tls.extra_ca == "PEM\nCRT\n");
  const auto path = [&](const char* name) { return join_path(dir.path(), cat("b/", name)); };
  CHECK(tls.clients ==
        std::vector<ClientPair>{{path("my.cert"), path("my.key")}, {path("dir/own.cert"), path("dir/own.key")}});
  CHECK(tls.file == files.buildkitd_toml[1]);
  CHECK(Routes(files).writing(parse_reference("busybox")).host == "registry-1.docker.io");
  SUBCASE("hosts.toml decides before its mirrors, and what it says of hosts counts") {
    hosts("docker.io", "[host.\"https://tls.example\"]\n");
    CHECK(read("busybox") == Names{"https://tls.example/library/busybox ns=docker.io", "docker.io/library/busybox"});
    CHECK_FALSE(Routes(files).reading(parse_reference("busybox"), Asking::tag)[0].tls.verify);
  }
  SUBCASE("its mirrors are asked before those of daemon.json") {
    files.daemon_json = {write("daemon.json", R"({"registry-mirrors": ["https://daemon.example"]})")};
    CHECK(read("busybox").size() == 3);
  }
  SUBCASE("it can be listed") {
    const std::vector<Described> all = Routes(files).describe();
    REQUIRE(all.size() == 5);
    CHECK(all[0].text == "mirror near.example:5000; mirror hub.example/proxy");
    CHECK(all[2].text == "plain http; insecure");
    CHECK(all[3].text == "insecure; authorities of its own; 2 client certificates");
    CHECK(all[4].text == "TLS only");
  }
}

TEST_CASE_FIXTURE(RoutesFixture, "buildkitd.toml: what is wrong is named") {
  const auto broken = [&](const std::string& text) {
    files.buildkitd_toml = {write("buildkitd.toml", text)};
    return refusal("x");
  };
  CHECK(broken("registry = 5\n").find("buildkitd.toml: registry is not a table") != std::string::npos);
  CHECK(broken("[registry]\n\"x\" = 5\n").find("\"x\" is not a table") != std::string::npos);
  CHECK(broken("[registry.x]\nmirrors = [\"a b\"]\n").find("\"a b\" is not HOST[:PORT][/PATH]") != std::string::npos);
  CHECK(broken("[registry.x]\nhttp = 1\n").find("http is not true or false") != std::string::npos);
  CHECK(broken("[registry.x]\nca = [\"none.pem\"]\n").find("none.pem does not exist") != std::string::npos);
  CHECK(broken("[[registry.x.keypair]]\nkey = \"k\"\n").find("keypair has no cert or no key") != std::string::npos);
}

TEST_CASE_FIXTURE(RoutesFixture, "registries.conf: the last list of credential helpers counts") {
  CHECK(Routes(files).credential_helpers().empty());
  registries("credential-helpers = [\"pass\", \"containers-auth.json\"]\n");
  CHECK(Routes(files).credential_helpers() == Names{"pass", std::string(kAccountFiles)});
  write("d/10.conf", "credential-helpers = [\"own\"]\n");
  write("d/20.conf", "[[registry]]\nprefix = \"a.example\"\n");
  files.registries_conf_dirs = {join_path(dir.path(), "d")};
  CHECK(Routes(files).credential_helpers() == Names{"own"});
}

TEST_CASE_FIXTURE(RoutesFixture, "hosts.toml: _default stands for the others, and what is wrong is named") {
  hosts("_default", "[host.\"https://all.example\"]\n");
  CHECK(read("any.example/x") == Names{"https://all.example/x ns=any.example", "any.example/x"});
  CHECK(read("busybox") == Names{"https://all.example/library/busybox ns=docker.io", "docker.io/library/busybox"});
  hosts("_default", "capabilities = [\"fly\"]\n");
  CHECK(refusal("x").find("\"fly\" is not pull, resolve or push") != std::string::npos);
  hosts("_default", "ca = \"missing.crt\"\n");
  CHECK(refusal("x").find("missing.crt does not exist") != std::string::npos);
}

TEST_CASE_FIXTURE(RoutesFixture, "daemon.json: mirrors of Docker Hub, insecure hosts and ranges") {
  files.daemon_json = {write("daemon.json", R"({"registry-mirrors": ["https://m.example/", "http://n.example:5000"],
    "insecure-registries": ["Old.example:5000", "10.1.0.0/16", "fd00::/8"], "log-driver": "journald"})")};
  CHECK(read("busybox") == Names{"https://m.example/library/busybox", "http://n.example:5000/library/busybox",
                                 "docker.io/library/busybox"});
  CHECK(read("quay.io/x") == Names{"quay.io/x"});
  Routes routes(files);
  const auto insecure = [&](const char* url) { return routes.is_insecure(*http::parse_url(url)); };
  CHECK(insecure("https://old.example:5000/"));
  CHECK_FALSE(insecure("https://old.example/"));
  CHECK(insecure("https://10.1.255.3:5000/"));
  CHECK_FALSE(insecure("https://10.2.0.1/"));
  CHECK(insecure("https://[fd12::1]/"));
  CHECK_FALSE(insecure("https://[fe80::1]/"));
}

TEST_CASE_FIXTURE(RoutesFixture,
                  "the first file that says where images are decides; what is insecure counts everywhere") {
  files.daemon_json = {write("daemon.json", R"({"registry-mirrors": ["https://daemon.example"]})")};
  CHECK(read("busybox")[0] == "https://daemon.example/library/busybox");
  hosts("docker.io", "[host.\"https://hosts.example\"]\n");
  CHECK(read("busybox")[0] == "https://hosts.example/library/busybox ns=docker.io");
  registries("[[registry]]\nprefix = \"docker.io\"\ninsecure = true\n");
  CHECK(read("busybox") ==
        Names{"https://hosts.example/library/busybox ns=docker.io", "docker.io/library/busybox insecure"});
  registries("[[registry]]\nprefix = \"docker.io\"\n[[registry.mirror]]\nlocation = \"conf.example\"\n");
  CHECK(read("busybox") == Names{"conf.example/library/busybox", "docker.io/library/busybox"});
}

TEST_CASE_FIXTURE(RoutesFixture, "what the files say can be listed") {
  registries(
      "[[registry]]\nprefix = \"a.example\"\nlocation = \"b.example\"\nblocked = true\n"
      "[[registry.mirror]]\nlocation = \"m.example\"\ninsecure = true\n");
  hosts("h.example", "server = \"https://s.example\"\n[host.\"https://z.example\"]\n");
  files.daemon_json = {write("daemon.json", R"({"insecure-registries": ["i.example"]})")};
  const std::vector<Described> all = Routes(files).describe();
  REQUIRE(all.size() == 3);
  CHECK(all[0].registry == "a.example");
  CHECK(all[0].text == "mirror m.example (insecure); location b.example; blocked");
  CHECK(all[1].text == "mirror https://z.example/v2; server https://s.example/v2");
  CHECK(all[2].registry == "i.example");
  CHECK(all[2].file == files.daemon_json[0]);
}

}  // namespace
}  // namespace cbuild::oci::routes
