// SPDX-License-Identifier: Apache-2.0
// Networks that lead to certain hosts only: the rules, the names on the wire, and a relay between two namespaces.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "base/error.h"
#include "base/sys.h"
#include "base/test_skip.h"
#include "base/test_wait.h"
#include "base/text.h"
#include "sandbox/network/egress_relay.h"
#include "sandbox/network/egress_rules.h"
#include "sandbox/network/egress_sockets.h"
#include "sandbox/network/name_space.h"
#include "sandbox/network/wire_names.h"

namespace cbuild::sandbox::network {
namespace {

IpAddress address_of(const std::string& text) {
  IpAddress out{};
  REQUIRE(parse_ip(text, out));
  return out;
}

std::string number16(std::size_t value) { return {static_cast<char>(value >> 8), static_cast<char>(value & 255)}; }
std::string block16(const std::string& body) { return number16(body.size()) + body; }

/// A ClientHello for that name, or without one, cut into records of `record` bytes.
std::string client_hello(const std::string& name, std::size_t record = 1u << 14) {
  std::string extensions = number16(10) + block16("\1\2");
  if (!name.empty()) extensions += number16(0) + block16(block16(std::string(1, '\0') + block16(name)));
  const std::string hello = "\3\3" + std::string(32, 'r') + std::string(1, '\0') + block16("\x13\x01") +
                            std::string("\1\0", 2) + block16(extensions);
  const std::string message = std::string("\1\0", 2) + block16(hello);
  std::string out;
  for (std::size_t at = 0; at < message.size(); at += record)
    out += std::string("\x16\3\1", 3) + block16(message.substr(at, record));
  return out;
}

std::string dns_message(const std::string& flags, unsigned answers, const std::string& question,
                        const std::string& rest = {}) {
  return std::string("\x12\x34") + flags + std::string("\0\1", 2) + number16(answers) + std::string(4, '\0') +
         question + rest;
}

const std::string kQuestion("\7Example\3com\0\0\1\0\1", 17);
const std::string kAsked("\1\0", 2), kAnswered("\x81\x80", 2);

}  // namespace

TEST_CASE("rules of a restricted network") {
  const EgressRules rules(
      {"PyPI.org", "*.debian.org:80", "10.0.0.0/9:5000", "[2001:db8::/33]:443", "192.0.2.7", "a_b-c.test:1"});
  CHECK(rules.ports() == std::set<std::uint16_t>{1, 80, 443, 5000});
  CHECK(rules.allows_name("pypi.ORG.", 443));
  CHECK(rules.allows_name("pypi.org", 80));
  CHECK_FALSE(rules.allows_name("pypi.org", 22));
  CHECK_FALSE(rules.allows_name("files.pypi.org", 443));
  CHECK_FALSE(rules.allows_name("notpypi.org", 443));
  CHECK(rules.allows_name("deb.debian.org", 80));
  CHECK(rules.allows_name("a.b.debian.org", 80));
  CHECK_FALSE(rules.allows_name("debian.org", 80));
  CHECK_FALSE(rules.allows_name("evildebian.org", 80));
  CHECK_FALSE(rules.allows_name("deb.debian.org", 443));
  CHECK(rules.allows_name("a_b-c.test", 1));
  CHECK(rules.allows_address(address_of("10.127.255.255"), 5000));
  CHECK_FALSE(rules.allows_address(address_of("10.128.0.0"), 5000));
  CHECK_FALSE(rules.allows_address(address_of("10.0.0.1"), 443));
  CHECK(rules.allows_address(address_of("2001:db8:7fff::1"), 443));
  CHECK_FALSE(rules.allows_address(address_of("2001:db8:8000::1"), 443));
  CHECK(rules.allows_address(address_of("192.0.2.7"), 80));
  CHECK_FALSE(rules.allows_address(address_of("192.0.2.8"), 80));
  CHECK(EgressRules({"0.0.0.0/0"}).allows_address(address_of("8.8.8.8"), 443));
  CHECK_FALSE(EgressRules({"0.0.0.0/0"}).allows_address(address_of("2001:db8::1"), 443));
  for (const char* wrong : {"",
                            " ",
                            "a b",
                            "a:0",
                            "a:65536",
                            "a:x",
                            "a:",
                            "*",
                            "*.",
                            "a.*",
                            "x/8",
                            "10.0.0.0/33",
                            "10.0.0.0/-1",
                            "[::1",
                            "[::1]x",
                            "::1/129",
                            "300.1.1.1",
                            "http://a",
                            "a..b",
                            ".a",
                            "a/b:80",
                            "2001:db8::1:99999"})
    CHECK_THROWS_WITH_AS(EgressRules({wrong}), doctest::Contains("--allow-net: invalid rule"), Error);
  CHECK(format_place(address_of("1.2.3.4"), 80) == "1.2.3.4:80");
  CHECK(format_place(address_of("2001:db8::1"), 443) == "[2001:db8::1]:443");
}

TEST_CASE("the name in a ClientHello or a request") {
  const auto found = [](const std::string& bytes) {
    const WireName name = first_name(bytes);
    return name.found == Wire::named ? name.name : name.found == Wire::more ? "(more)" : "(plain)";
  };
  for (const std::size_t record : {1u, 7u, 100u, 16384u}) {
    const std::string hello = client_hello("WWW.example.com", record);
    CHECK(found(hello) == "www.example.com");
    CHECK(found(hello + "later bytes") == "www.example.com");
    for (std::size_t cut = 0; cut < hello.size(); ++cut) CHECK(found(hello.substr(0, cut)) == "(more)");
  }
  CHECK(found(client_hello("")) == "(plain)");
  CHECK(found(client_hello("a b")) == "(plain)");
  CHECK(found("\x16\3\1" + block16("\2 a server's")) == "(plain)");
  CHECK(found("GET / HTTP/1.1\r\nAccept: x\r\nhOsT:  Example.com:8080 \r\n\r\n") == "example.com");
  CHECK(found("GET / HTTP/1.1\r\nHost: example.com\r\n") == "(more)");
  CHECK(found("GET / HTTP/1.0\r\n\r\n") == "(plain)");
  CHECK(found("SSH-2.0-x\r\n") == "(plain)");
  CHECK(found("HELO a\r\n\r\n") == "(plain)");
  CHECK(found("GET " + std::string(20'000, 'a')) == "(plain)");
}

TEST_CASE("questions and answers of DNS") {
  const auto question = dns_question(dns_message(kAsked, 0, kQuestion, "edns"));
  REQUIRE(question);
  CHECK(question->name == "example.com");
  CHECK(question->type == kDnsA);
  CHECK(question->size == 12 + kQuestion.size());
  const std::string no = dns_answer(dns_message(kAsked, 0, kQuestion, "edns"), *question, 3);
  CHECK(no == dns_message("\x81\x83", 0, kQuestion));
  CHECK_FALSE(dns_question(dns_message(kAnswered, 1, kQuestion)));
  CHECK_FALSE(dns_question(dns_message(kAsked, 0, kQuestion.substr(0, 9))));
  CHECK_FALSE(dns_question(dns_message(kAsked, 0, std::string("\xc0\x0c\0\1\0\1", 6))));
  CHECK_FALSE(dns_question(dns_message(kAsked, 0, std::string("\3a.b\0\0\1\0\1", 9))));

  const std::string record("\xc0\x0c\0\1\0\1\0\0\0\1\0\4\1\2\3\4", 16);
  const std::string alias("\xc0\x0c\0\5\0\1\0\0\0\1\0\2\xc0\x0c", 14);
  const std::string six = std::string("\7example\3com\0\0\x1c\0\1\0\0\0\1\0\x10", 23) + std::string(16, '\x20');
  CHECK(dns_addresses(dns_message(kAnswered, 3, kQuestion, alias + record + six)) ==
        std::vector<IpAddress>{address_of("1.2.3.4"), address_of("2020:2020:2020:2020:2020:2020:2020:2020")});
  CHECK(dns_addresses(dns_message(kAnswered, 9, kQuestion, record)).size() == 1);
  CHECK(dns_addresses(dns_message(kAnswered, 1, kQuestion, record.substr(0, 15))).empty());
}

namespace {

/// Sends `bytes` from the namespace to a place and gives what comes back until the end; nullopt: no connection.
std::optional<std::string> talk(int name_space, const IpEndpoint& to, const std::string& bytes) {
  std::optional<std::string> out;
  in_name_space(name_space, [&] {
    const CancelSource never;
    const UniqueFd socket = connected(to, SOCK_STREAM, never);
    if (!socket) return;
    out.emplace();
    if (!bytes.empty()) (void)::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    ::shutdown(socket.get(), SHUT_WR);
    char piece[4096];
    while (wait_for(socket.get(), POLLIN, 30'000, never)) {
      const ssize_t size = ::recv(socket.get(), piece, sizeof piece, 0);
      if (size <= 0) break;
      out->append(piece, static_cast<std::size_t>(size));
    }
  });
  return out;
}

/// Says how many bytes each connection sent, on the loopback device of the calling thread's namespace.
class CountingServer {
 public:
  explicit CountingServer(std::uint16_t port) : listener_(listening({address_of("127.0.0.1"), port}, SOCK_STREAM)) {
    REQUIRE(listener_);
    thread_ = std::thread([this] {
      while (wait_for(listener_.get(), POLLIN, 600'000, stop_)) serve();
    });
  }
  ~CountingServer() {
    stop_.cancel();
    thread_.join();
  }

 private:
  void serve() {
    const UniqueFd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    std::size_t count = 0;
    char piece[4096];
    for (ssize_t size = 1; (size = ::recv(client.get(), piece, sizeof piece, 0)) > 0;)
      count += static_cast<std::size_t>(size);
    const std::string said = cat(count, " bytes");
    (void)::send(client.get(), said.data(), said.size(), MSG_NOSIGNAL);
  }

  UniqueFd listener_;
  CancelSource stop_;
  std::thread thread_;
};

}  // namespace

TEST_CASE("a relay carries what is allowed and tells what it refused") {
  UniqueFd made;
  try {
    made = make_name_space();
  } catch (const Error&) {
  }
  if (!test::can_run(static_cast<bool>(made), "network namespaces")) return;
  in_name_space(made.get(), [] {  // plays the host: nothing of the real one is touched
    const CountingServer server(8443);
    const UniqueFd step = make_name_space();
    EgressRelay relay(step.get(), {EgressRules({"good.test:8443", "*.fine.test:8443", "198.51.100.0/24:9999"}),
                                   {},
                                   {"good.test=host-gateway", "bad.test=192.0.2.77"}});
    const IpEndpoint host{address_of(kEgressGateway), 8443};
    const std::string good = client_hello("good.test"), fine = client_hello("a.fine.test", 50);
    CHECK(talk(step.get(), host, good) == cat(good.size(), " bytes"));
    CHECK(talk(step.get(), host, fine) == cat(fine.size(), " bytes"));
    CHECK(talk(step.get(), host, client_hello("")) == cat(client_hello("").size(), " bytes"));
    CHECK(talk(step.get(), host, "hello") == "5 bytes");
    CHECK(talk(step.get(), host, "") == "0 bytes");
    const std::string large = "GET / HTTP/1.1\r\nHost: good.test\r\n\r\n" + std::string(3'000'000, 'x');
    CHECK(talk(step.get(), host, large) == cat(large.size(), " bytes"));
    CHECK(relay.take_refused().empty());

    CHECK(talk(step.get(), host, client_hello("other.test")) == "");
    CHECK(talk(step.get(), host, "GET / HTTP/1.1\r\nHost: other.test\r\n\r\n") == "");
    CHECK(talk(step.get(), {address_of("192.0.2.77"), 8443}, good).value_or("") == "");
    CHECK(talk(step.get(), {address_of("203.0.113.5"), 8443}, good).value_or("") == "");
    CHECK(talk(step.get(), {address_of("127.0.0.1"), 8443}, good).value_or("") == "");
    CHECK_FALSE(talk(step.get(), {address_of("203.0.113.5"), 22}, good));
    CHECK(talk(step.get(), {address_of("198.51.100.9"), 9999}, good).value_or("") == "");  // no route there
    std::vector<std::string> refused;
    const test::Awaiting told("the packet of a connection that nobody takes");
    while (refused.empty() || refused.back() != "203.0.113.5:22") {
      for (const std::string& one : relay.take_refused()) refused.push_back(one);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    CHECK(refused == std::vector<std::string>{"other.test:8443", "bad.test:8443", "203.0.113.5:8443", "127.0.0.1:8443",
                                              "203.0.113.5:22"});
  });
}

}  // namespace cbuild::sandbox::network
