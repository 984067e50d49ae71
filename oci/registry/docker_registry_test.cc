// SPDX-License-Identifier: Apache-2.0
// The client and docker-registry, the real program, with accounts and with TLS by certificates made for the test.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <thread>

#include "base/process/subprocess.h"
#include "base/sys.h"
#include "base/test_skip.h"
#include "base/text.h"
#include "oci/image_config.h"
#include "oci/registry/fake_registry.h"

// The client against distribution's own registry (Debian: docker-registry), each on a port of its own choice.
using namespace cbuild;
using namespace cbuild::oci;
using namespace cbuild::oci::registry;
using Outcome = Client::PushOutcome;

namespace {

constexpr char kProgram[] = "/usr/bin/docker-registry";
constexpr char kUser[] = "tester", kDockerPassword[] = "correct-horse";
constexpr char kHtpasswd[] = "tester:$2b$05$abcdefghijklmnopqrstuuZ0Fx87Pb/Aqb0E90lfvCwzXnaFKUHpS\n";

bool available(const char* program) { return test::can_run(::access(program, X_OK) == 0, program); }

/// Runs while it lives. The address is read from the log, so that the kernel can choose the port.
class DockerRegistry {
 public:
  explicit DockerRegistry(TempDir& dir, const std::string& http = {}, const std::string& more = {}) {
    sys::write_file_at(dir.fd(), "config.yml",
                       cat("version: 0.1\nlog: {level: info}\nstorage:\n  filesystem: {rootdirectory: ", dir.path(),
                           "/data}\n  delete: {enabled: true}\nhttp:\n  addr: 127.0.0.1:0\n  secret: x\n", http, more));
    int pipe[2];
    REQUIRE(::pipe2(pipe, O_CLOEXEC) == 0);
    output_.reset(pipe[0]);
    const UniqueFd write_end(pipe[1]);
    Child::Options options;
    options.argv = {kProgram, "serve", dir.path() + "/config.yml"};
    options.stdout_fd = options.stderr_fd = write_end.get();
    child_ = std::make_unique<Child>(Child::spawn(options));
    reader_ = std::thread([this] { read_log(); });
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::minutes(1), [&] { return ended_ || !address_.empty(); });
    REQUIRE_MESSAGE(!address_.empty(), log_);
  }

  ~DockerRegistry() {
    child_->signal(SIGKILL);
    child_->wait();
    reader_.join();
  }

  DockerRegistry(const DockerRegistry&) = delete;
  DockerRegistry& operator=(const DockerRegistry&) = delete;
  const std::string& address() const { return address_; }

 private:
  void read_log() {
    char chunk[4096];
    while (true) {
      const ssize_t n = ::read(output_.get(), chunk, sizeof chunk);
      const std::lock_guard lock(mutex_);
      if (n <= 0) ended_ = true;
      if (n > 0) log_.append(chunk, static_cast<std::size_t>(n));
      const std::size_t begin = log_.find("listening on ");
      const std::size_t end = begin == std::string::npos ? begin : log_.find_first_of("\", ", begin + 13);
      if (end != std::string::npos) address_ = log_.substr(begin + 13, end - begin - 13);
      changed_.notify_all();
      if (n <= 0) return;
    }
  }

  UniqueFd output_;
  std::unique_ptr<Child> child_;
  std::mutex mutex_;  // guards the rest
  std::condition_variable changed_;
  std::string log_, address_;
  bool ended_ = false;
  std::thread reader_;
};

std::string big_content() {
  std::string out;
  for (int i = 0; out.size() < 5u << 20; ++i) out += sha256(std::to_string(i)).hex();
  return out;
}

/// Sends a blob in chunks, and leaves another upload unfinished.
void exercise_streams(Client& client, const Reference& ref, BlobStore& store, const Descriptor& blob) {
  const UniqueFd file = store.open(blob.digest);
  {
    const auto dropped = client.begin_upload(ref);
    CHECK(dropped->send(file.get(), 3u << 20));
  }
  const auto upload = client.begin_upload(ref);
  for (const std::uint64_t end : {std::uint64_t{2u << 20}, std::uint64_t{4u << 20}, blob.size})
    CHECK(upload->send(file.get(), end));
  CHECK_FALSE(client.offer_blob(ref, blob, std::nullopt));
  CHECK(upload->finish(blob.digest));
  CHECK(client.offer_blob(ref, blob, std::nullopt));
  const auto wrong = client.begin_upload(ref);
  CHECK(wrong->send(file.get(), 1u << 20));
  CHECK_FALSE(wrong->finish(sha256("another")));
}

/// Pushes an image with one layer, mounts it elsewhere, and pulls it into an empty store.
void exercise(ClientFixture& fixture, const std::string& address) {
  Client& client = fixture.client();
  const Reference ref = parse_reference(address + "/team/app:v1"), copy = parse_reference(address + "/other/app:v2");
  CHECK_FALSE(client.resolve(ref));
  CHECK(code_of([&] { client.manifest(ref); }) == ErrorCode::not_found);

  BlobStore& store = fixture.layout.blobs();
  Manifest image;
  image.layers = {put_blob(store, big_content(), std::string(media_type::kLayer))};
  ImageConfig config;
  config.platform = host_platform();
  config.diff_ids = {image.layers[0].digest};
  image.config = put_blob(store, to_json(config), std::string(media_type::kConfig));
  const std::string body = to_json(image);

  const Reference streamed = parse_reference(address + "/streamed/app:v1");
  exercise_streams(client, streamed, store, image.layers[0]);
  ImageLayout back = ImageLayout::create(fixture.dir.path() + "/back");
  client.fetch_blob(streamed, image.layers[0], back.blobs());

  for (const Descriptor& blob : {image.layers[0], image.config}) {
    CHECK(client.push_blob(ref, blob, store, std::nullopt) == Outcome::uploaded);
    CHECK(client.push_blob(ref, blob, store, std::nullopt) == Outcome::exists);
    CHECK(client.push_blob(copy, blob, store, ref) == Outcome::mounted);
  }
  CHECK(client.push_manifest(ref, image.media_type, body) == sha256(body));
  CHECK(client.push_manifest(copy, image.media_type, body) == sha256(body));

  const auto resolved = client.resolve(ref);
  REQUIRE(resolved);
  CHECK(resolved->digest == sha256(body));
  CHECK(resolved->size == body.size());
  CHECK(client.manifest(copy).body == body);
  CHECK(client.fetch_small_blob(ref, image.config) == to_json(config));
  ImageLayout pulled = ImageLayout::create(fixture.dir.path() + "/pulled");
  client.fetch_blob(ref, image.layers[0], pulled.blobs());
  CHECK(read_blob(pulled.blobs(), image.layers[0].digest) == big_content());

  Index index;
  index.manifests = {*resolved};
  const Reference list = parse_reference(address + "/team/app:list");
  CHECK(client.push_manifest(list, index.media_type, to_json(index)) == sha256(to_json(index)));
  CHECK(client.manifest(list).media_type == media_type::kIndex);

  std::string what;
  Manifest incomplete = image;
  incomplete.layers = {descriptor_of("nowhere")};
  CHECK(code_of([&] { client.push_manifest(ref, incomplete.media_type, to_json(incomplete)); }, &what) ==
        ErrorCode::network);
  CHECK(what.find("MANIFEST_BLOB_UNKNOWN") != std::string::npos);
}

/// Makes a CA and a server certificate for `name` signed by it, valid for so many days (-1: until yesterday).
void make_certificates(const std::string& dir, const std::string& name = "IP:127.0.0.1", int days = 2) {
  const std::string script =
      "set -e; cd \"$0\"; "
      "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.crt -days "
      "2 -subj /CN=test-ca; "
      "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server.key -out server.csr "
      "-subj /CN=127.0.0.1; "
      "printf 'subjectAltName=%s' \"$1\" > san; "
      // OpenSSL 3.4 and later take times, and no negative days any more.
      "valid=\"-days $2\"; "
      "if [ $2 -lt 0 ] && openssl x509 -help 2>&1 | grep -q not_after; then "
      "valid='-not_before 20200101000000Z -not_after 20200102000000Z'; fi; "
      "openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial $valid -extfile san -out server.crt; "
      "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout client.key -out client.csr "
      "-subj /CN=client; "
      "openssl x509 -req -in client.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -out client.crt";
  const CommandResult made = run_command({"/bin/sh", "-c", script, dir, name, std::to_string(days)});
  REQUIRE_MESSAGE(made.exit_code == 0, made.err);
}

std::string tls_section(const std::string& dir, bool ask_client = false) {
  return cat("  tls:\n    certificate: ", dir, "/server.crt\n    key: ", dir, "/server.key\n",
             ask_client ? cat("    clientcas: [", dir, "/ca.crt]\n") : "");
}

struct DockerRegistryFixture : ClientFixture {
  /// Puts files into certs.d for a registry.
  void trust(const std::string& address, bool with_client = false) {
    const std::string place = "certs.d/" + address;
    sys::mkdir_all(dir.fd(), place, 0755);
    const auto copy = [&](const char* from, const std::string& to) {
      sys::write_file_at(dir.fd(), place + to, sys::read_file_at(dir.fd(), from, 1u << 16));
    };
    copy("ca.crt", "/ca.crt");
    if (with_client) {
      copy("client.crt", "/client.cert");
      copy("client.key", "/client.key");
    }
    options.files.cert_dirs = {dir.path() + "/certs.d"};
  }
};

}  // namespace

TEST_CASE_FIXTURE(DockerRegistryFixture, "docker-registry over plain http") {
  if (!available(kProgram)) return;
  const DockerRegistry registry(dir);
  exercise(*this, registry.address());
  CHECK(warnings.empty());
}

TEST_CASE_FIXTURE(DockerRegistryFixture, "docker-registry with accounts") {
  if (!available(kProgram)) return;
  sys::write_file_at(dir.fd(), "htpasswd", kHtpasswd);
  const DockerRegistry registry(dir, "", cat("auth:\n  htpasswd: {realm: test, path: ", dir.path(), "/htpasswd}\n"));
  std::string what;
  Client stranger(options);
  CHECK(code_of([&] { stranger.manifest(parse_reference(registry.address() + "/a")); }, &what) == ErrorCode::denied);
  CHECK(what.find("UNAUTHORIZED") != std::string::npos);
  write_account(registry.address(), kUser, "wrong");
  Client mistaken(options);
  CHECK(code_of([&] { mistaken.resolve(parse_reference(registry.address() + "/a")); }) == ErrorCode::denied);
  write_account(registry.address(), kUser, kDockerPassword);
  exercise(*this, registry.address());
}

TEST_CASE_FIXTURE(DockerRegistryFixture, "docker-registry with TLS by an authority of our own") {
  if (!available(kProgram) || !available("/usr/bin/openssl")) return;
  make_certificates(dir.path());
  const DockerRegistry registry(dir, tls_section(dir.path()));
  std::string what;
  Client stranger(options);
  CHECK(code_of([&] { stranger.manifest(parse_reference(registry.address() + "/a")); }, &what) == ErrorCode::network);
  CHECK(what.find("certs.d") != std::string::npos);
  SUBCASE("certs.d") { trust(registry.address()); }
  SUBCASE("insecure") { options.insecure = {registry.address()}; }
  exercise(*this, registry.address());
}

TEST_CASE_FIXTURE(DockerRegistryFixture, "docker-registry with SSL_CERT_FILE") {
  if (!available(kProgram) || !available("/usr/bin/openssl")) return;
  make_certificates(dir.path());
  const DockerRegistry registry(dir, tls_section(dir.path()));
  ::setenv("SSL_CERT_FILE", (dir.path() + "/ca.crt").c_str(), 1);
  const ScopeExit restore([] { ::unsetenv("SSL_CERT_FILE"); });
  CHECK_FALSE(client().resolve(parse_reference(registry.address() + "/a")));
}

TEST_CASE_FIXTURE(DockerRegistryFixture, "a certificate that is valid for another name is refused") {
  if (!available(kProgram) || !available("/usr/bin/openssl")) return;
  make_certificates(dir.path(), "DNS:localhost");
  const DockerRegistry registry(dir, tls_section(dir.path()));
  const std::string port = registry.address().substr(registry.address().find(':'));
  trust(registry.address());
  trust("localhost" + port);
  std::string what;
  CHECK(code_of([&] { client().resolve(parse_reference(registry.address() + "/a")); }, &what) == ErrorCode::network);
  CHECK(what.find("is for another host") != std::string::npos);
  CHECK_FALSE(client().resolve(parse_reference("localhost" + port + "/a")));  // the name that it is for
  options.insecure = {registry.address()};
  CHECK_FALSE(Client(options).resolve(parse_reference(registry.address() + "/a")));
}

TEST_CASE_FIXTURE(DockerRegistryFixture, "a redirect from TLS to plain http is refused") {
  if (!available(kProgram) || !available("/usr/bin/openssl")) return;
  make_certificates(dir.path());
  http::FakeServer storage([](const http::FakeRequest&) { return http::FakeResponse{.body = "blob"}; });
  const std::string redirect =
      cat("middleware:\n  storage:\n    - name: redirect\n      options: {baseurl: \"", storage.url("/"), "\"}\n");
  const DockerRegistry registry(dir, tls_section(dir.path()), redirect);
  trust(registry.address());
  const Reference ref = parse_reference(registry.address() + "/a");
  const Descriptor blob = put_blob(layout.blobs(), "blob", std::string(media_type::kLayer));
  client().push_blob(ref, blob, layout.blobs(), std::nullopt);
  std::string what;
  CHECK(code_of([&] { client().fetch_small_blob(ref, blob); }, &what) == ErrorCode::network);
  CHECK(what.find("127.0.0.1 leads to plain http at 127.0.0.1") != std::string::npos);
  CHECK(storage.log().empty());
  options.insecure = {registry.address()};
  CHECK(Client(options).fetch_small_blob(ref, blob) == "blob");
}

TEST_CASE_FIXTURE(DockerRegistryFixture, "a certificate that has expired is called that") {
  if (!available(kProgram) || !available("/usr/bin/openssl")) return;
  make_certificates(dir.path(), "IP:127.0.0.1", -1);
  const DockerRegistry registry(dir, tls_section(dir.path()));
  trust(registry.address());
  std::string what;
  CHECK(code_of([&] { client().resolve(parse_reference(registry.address() + "/a")); }, &what) == ErrorCode::network);
  CHECK(what.find("renew the registry's certificate, or set this machine's clock") != std::string::npos);
  CHECK(what.find("plain http") == std::string::npos);
  options.insecure = {registry.address()};
  CHECK_FALSE(Client(options).resolve(parse_reference(registry.address() + "/a")));
}

TEST_CASE_FIXTURE(DockerRegistryFixture,
                  "a client certificate that the registry does not know, and one with another's key") {
  if (!available(kProgram) || !available("/usr/bin/openssl")) return;
  make_certificates(dir.path());
  const DockerRegistry registry(dir, tls_section(dir.path(), true));
  trust(registry.address(), true);
  const std::string place = "certs.d/" + registry.address();
  const auto replace = [&](const char* from, const char* to) {
    sys::write_file_at(dir.fd(), cat(place, '/', to), sys::read_file_at(dir.fd(), from, 1u << 16));
  };
  std::string what;
  replace("server.key", "client.key");
  Client mixed(options);
  CHECK(code_of([&] { mixed.resolve(parse_reference(registry.address() + "/a")); }, &what) == ErrorCode::network);
  CHECK(what.find("belong together") != std::string::npos);
  replace("client.key", "client.key");
  sys::write_file_at(dir.fd(), place + "/ca.crt", sys::read_file_at(dir.fd(), "ca.crt", 1u << 16));
  CHECK_FALSE(Client(options).resolve(parse_reference(registry.address() + "/a")));
}

TEST_CASE_FIXTURE(DockerRegistryFixture, "a machine without authorities says so") {
  if (!available(kProgram) || !available("/usr/bin/openssl")) return;
  make_certificates(dir.path());
  const DockerRegistry registry(dir, tls_section(dir.path()));
  ::setenv("SSL_CERT_FILE", (dir.path() + "/none.pem").c_str(), 1);
  const ScopeExit restore([] { ::unsetenv("SSL_CERT_FILE"); });
  std::string what;
  CHECK(code_of([&] { client().resolve(parse_reference(registry.address() + "/a")); }, &what) == ErrorCode::network);
  CHECK(what.find("no certificates of authorities") != std::string::npos);
  options.insecure = {registry.address()};
  CHECK_FALSE(Client(options).resolve(parse_reference(registry.address() + "/a")));
}

TEST_CASE_FIXTURE(DockerRegistryFixture, "docker-registry that wants a client certificate") {
  if (!available(kProgram) || !available("/usr/bin/openssl")) return;
  make_certificates(dir.path());
  const DockerRegistry registry(dir, tls_section(dir.path(), true));
  trust(registry.address());
  Client without(options);
  std::string what;
  CHECK(code_of([&] { without.resolve(parse_reference(registry.address() + "/a")); }, &what) == ErrorCode::network);
  CHECK(what.find("the registry wants a client certificate") != std::string::npos);
  CHECK(what.find("client.cert") != std::string::npos);
  trust(registry.address(), true);
  exercise(*this, registry.address());
}

TEST_CASE_FIXTURE(DockerRegistryFixture, "of several client certificates the one that the registry takes is used") {
  if (!available(kProgram) || !available("/usr/bin/openssl")) return;
  const TempDir other = TempDir::in_tmp("other-authority");
  make_certificates(dir.path());
  make_certificates(other.path());
  const DockerRegistry registry(dir, tls_section(dir.path(), true));
  trust(registry.address(), true);
  const std::string place = cat(dir.path(), "/certs.d/", registry.address());
  const auto add_stranger = [&](const char* name) {
    for (const auto& [from, end] : {std::pair{"/client.crt", ".cert"}, std::pair{"/client.key", ".key"}})
      sys::write_file_at(AT_FDCWD, cat(place, '/', name, end),
                         sys::read_file_at(AT_FDCWD, other.path() + from, 1u << 16));
  };
  add_stranger("a");
  SUBCASE("the second") {}
  SUBCASE("the first of buildkitd.toml, before those of certs.d") {
    sys::write_file_at(dir.fd(), "buildkitd.toml",
                       cat("[registry.\"", registry.address(), "\"]\n[[registry.\"", registry.address(),
                           "\".keypair]]\ncert = \"client.crt\"\nkey = \"client.key\"\n"));
    options.files.buildkitd_toml = {dir.path() + "/buildkitd.toml"};
    sys::unlink_at(AT_FDCWD, place + "/client.cert");
  }
  exercise(*this, registry.address());
  SUBCASE("none") {
    add_stranger("client");
    std::string what;
    Client refused(options);
    CHECK(code_of([&] { refused.resolve(parse_reference(registry.address() + "/a")); }, &what) == ErrorCode::network);
    CHECK(what.find("the registry wants a client certificate") != std::string::npos);
  }
}

TEST_CASE_FIXTURE(DockerRegistryFixture, "a client certificate without its key is named") {
  if (!available("/usr/bin/openssl")) return;
  make_certificates(dir.path());
  trust("r.example:1", true);
  sys::unlink_at(dir.fd(), "certs.d/r.example:1/client.key");
  std::string what;
  CHECK(code_of([&] { client().resolve(parse_reference("r.example:1/a")); }, &what) == ErrorCode::input);
  CHECK(what.find("client.key is missing") != std::string::npos);
}

TEST_CASE_FIXTURE(DockerRegistryFixture, "a certificate or key that is not a file is named, and nothing waits for it") {
  const std::string place = "certs.d/r.example:1";
  sys::mkdir_all(dir.fd(), place, 0755);
  options.files.cert_dirs = {dir.path() + "/certs.d"};
  std::string odd = "client.key";
  SUBCASE("key") {}
  SUBCASE("certificate") { odd = "client.cert"; }
  SUBCASE("authority") { odd = "ca.crt"; }
  for (const char* name : {"client.cert", "client.key", "ca.crt"})
    if (name != odd) sys::write_file_at(dir.fd(), cat(place, '/', name), "text");
  REQUIRE(::mkfifo(cat(dir.path(), '/', place, '/', odd).c_str(), 0600) == 0);
  std::string what;
  CHECK(code_of([&] { client().resolve(parse_reference("r.example:1/a")); }, &what) == ErrorCode::input);
  CHECK(what.find(cat(odd, " is a FIFO, not a file")) != std::string::npos);
}
