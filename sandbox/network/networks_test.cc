// SPDX-License-Identifier: Apache-2.0
// Every way out on a machine of the test's own: a thread with a network namespace is the host, a second namespace is
// the outside. Nothing of the real machine's networks is touched.
#include "sandbox/network/networks.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <exception>
#include <filesystem>
#include <functional>
#include <optional>
#include <thread>

#include "base/error.h"
#include "base/files.h"
#include "base/process/subprocess.h"
#include "base/sys.h"
#include "base/test_skip.h"
#include "base/test_wait.h"
#include "base/text.h"
#include "sandbox/network/dns_relay.h"
#include "sandbox/network/ledger.h"
#include "sandbox/network/maker.h"
#include "sandbox/network/name_space.h"
#include "sandbox/network/netlink.h"

namespace cbuild::sandbox::network {
namespace {

constexpr const char* kOutside4 = "198.51.100.2";
constexpr const char* kOutside6 = "2001:db8:5::2";

/// A socket of this thread's namespace for `address` and `port`, of IPv4 or IPv6.
struct Place {
  sockaddr_storage address{};
  socklen_t size = 0;
  Place(const std::string& text, std::uint16_t port) {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&address);
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&address);
    if (inet_pton(AF_INET, text.c_str(), &v4->sin_addr) == 1) {
      v4->sin_family = AF_INET;
      v4->sin_port = htons(port);
      size = sizeof *v4;
    } else {
      REQUIRE(inet_pton(AF_INET6, text.c_str(), &v6->sin6_addr) == 1);
      v6->sin6_family = AF_INET6;
      v6->sin6_port = htons(port);
      size = sizeof *v6;
    }
  }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address); }
};

UniqueFd bound(const std::string& address, std::uint16_t port, int type) {
  const Place at(address, port);
  UniqueFd out(::socket(at.get()->sa_family, type | SOCK_CLOEXEC, 0));
  const int on = 1;
  setsockopt(out.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (at.get()->sa_family == AF_INET6) setsockopt(out.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (::bind(out.get(), at.get(), at.size) != 0) throw_errno(errno, cat("bind ", address));
  if (type == SOCK_STREAM && ::listen(out.get(), 16) != 0) throw_errno(errno, "listen");
  return out;
}

/// How long silence is waited for where it is expected, and where it is a failure.
enum class Patience { short_one = 700, long_one = 30'000 };

/// Whether a connection from that namespace is taken by the listening socket.
bool reaches(int name_space, const std::string& address, std::uint16_t port, const UniqueFd& listener,
             Patience patience = Patience::long_one) {
  UniqueFd client;
  in_name_space(name_space, [&] {
    const Place to(address, port);
    client = UniqueFd(::socket(to.get()->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    (void)::connect(client.get(), to.get(), to.size);
  });
  pollfd polled[2] = {{listener.get(), POLLIN, 0}, {client.get(), 0, 0}};
  if (::poll(polled, 2, static_cast<int>(patience)) <= 0 || (polled[0].revents & POLLIN) == 0) return false;
  const UniqueFd taken(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  return static_cast<bool>(taken);
}

void write_setting(const std::string& path, const std::string& value) {
  const UniqueFd fd = sys::open_at(AT_FDCWD, path, O_WRONLY);
  sys::write_all(fd.get(), value);
}

/// The host's side of the test's world, in the namespace of the calling thread.
struct TestWorld {
  UniqueFd outside = make_name_space();
  TempDir dir = TempDir::in_tmp("cbuild-network-test-");
  UniqueFd server4, server6;
  Options options;

  explicit TestWorld(bool forwards) {
    RouteSocket here;
    here.add_pair("up0", "down0", outside.get());
    here.add_address("up0", "198.51.100.1", 24);
    here.add_address("up0", "2001:db8:5::1", 64);
    here.bring_up("up0");
    RouteSocket().bring_up("lo");
    in_name_space(outside.get(), [&] {
      RouteSocket there;
      there.add_address("down0", kOutside4, 24);
      there.add_address("down0", kOutside6, 64);
      there.bring_up("down0");
      server4 = bound(kOutside4, 8080, SOCK_STREAM);
      server6 = bound(kOutside6, 8080, SOCK_STREAM);
    });
    here.add_default_route(kOutside4, "up0");
    here.add_default_route(kOutside6, "up0");
    write_setting("/proc/sys/net/ipv4/ip_forward", forwards ? "1" : "0");
    write_setting("/proc/sys/net/ipv6/conf/all/forwarding", forwards ? "1" : "0");
    options.ledger_directory = dir.path() + "/ledgers";
    options.resolv_conf = dir.path() + "/resolv.conf";
    sys::write_file_at(AT_FDCWD, options.resolv_conf, "nameserver 192.0.2.53\n");
  }
};

/// Runs `body` on a thread that has a network namespace of its own; skips where none can be made.
void on_a_host(const std::function<void()>& body) {
  std::exception_ptr failure;
  bool made = false;
  std::thread([&] {
    if (::unshare(CLONE_NEWNET) != 0) return;
    made = true;
    try {
      body();
    } catch (...) {
      failure = std::current_exception();
    }
  }).join();
  if (!test::can_run(made, "network namespaces")) return;
  if (failure) std::rethrow_exception(failure);
}

std::string output_of(std::vector<std::string> argv) {
  argv[0] = find_tool(argv[0]);
  return run_command(argv).out;
}

void check_outside(const TestWorld& world, const StepNetwork& network, bool ipv6) {
  CHECK(reaches(network.fd, kOutside4, 8080, world.server4));
  if (ipv6) CHECK(reaches(network.fd, kOutside6, 8080, world.server6));
}

/// What no step may reach, whatever the way out is.
void check_not_the_host(const StepNetwork& network) {
  const UniqueFd loopback = bound("127.0.0.1", 9000, SOCK_STREAM);
  CHECK_FALSE(reaches(network.fd, "127.0.0.1", 9000, loopback, Patience::short_one));
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::memcpy(name.sun_path, "\0cbuild-test", 12);
  const UniqueFd abstract(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const socklen_t size = offsetof(sockaddr_un, sun_path) + 12;
  REQUIRE(::bind(abstract.get(), reinterpret_cast<const sockaddr*>(&name), size) == 0);
  REQUIRE(::listen(abstract.get(), 1) == 0);
  const auto connects = [&] {
    const UniqueFd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    return ::connect(client.get(), reinterpret_cast<const sockaddr*>(&name), size) == 0;
  };
  CHECK(connects());
  in_name_space(network.fd, [&] { CHECK_FALSE(connects()); });
}

bool has_devices(const std::string& start) {
  struct if_nameindex* all = ::if_nameindex();
  bool found = false;
  for (struct if_nameindex* one = all; one != nullptr && one->if_index != 0; ++one)
    found |= std::string(one->if_name).starts_with(start);
  ::if_freenameindex(all);
  return found;
}

}  // namespace

TEST_CASE("nftables: a pair of devices and addresses of its own, nothing left") {
  if (!test::can_run(!find_tool("nft").empty(), "nft is missing")) return;
  on_a_host([] {
    TestWorld world(true);
    CHECK(describe_networks(world.options) == "nftables");
    {
      const auto networks = open_networks(world.options);
      const auto first = networks->lease(), second = networks->lease();
      check_outside(world, first->network(), true);
      check_outside(world, second->network(), true);
      check_not_the_host(first->network());
      CHECK(first->network().resolv_conf == "nameserver 192.0.2.53\n");
      CHECK(first->network().host_gateway.empty());
      // Neither the machine nor another step.
      const UniqueFd on_host = bound("198.51.100.1", 9001, SOCK_STREAM);
      CHECK_FALSE(reaches(first->network().fd, "198.51.100.1", 9001, on_host, Patience::short_one));
      UniqueFd other;
      in_name_space(second->network().fd, [&] { other = bound("0.0.0.0", 9002, SOCK_STREAM); });
      const std::string hosts = output_of({"ip", "-4", "-o", "addr"});
      const std::size_t at = hosts.find("-1    inet ");
      REQUIRE(at != std::string::npos);
      std::string address = hosts.substr(at + 11, hosts.find('/', at) - at - 11);
      address.back() = static_cast<char>(address.back() + 1);
      CHECK_FALSE(reaches(first->network().fd, address, 9002, other, Patience::short_one));
      CHECK(output_of({"nft", "list", "tables"}).find("inet cbuild-") != std::string::npos);
    }
    CHECK(output_of({"nft", "list", "tables"}).empty());
    const test::Awaiting gone("the end of the devices");
    while (has_devices("cb-")) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  });
}

TEST_CASE("nftables: the machine under host-gateway, where that was asked for") {
  if (!test::can_run(!find_tool("nft").empty(), "nft is missing")) return;
  on_a_host([] {
    TestWorld world(true);
    world.options.reach_host = true;
    const auto networks = open_networks(world.options);
    const auto lease = networks->lease();
    const UniqueFd server = bound("0.0.0.0", 9001, SOCK_STREAM);
    REQUIRE_FALSE(lease->network().host_gateway.empty());
    CHECK(reaches(lease->network().fd, lease->network().host_gateway, 9001, server));
  });
}

TEST_CASE("nftables: a firewall that forwards nothing is not fought") {
  if (!test::can_run(!find_tool("nft").empty(), "nft is missing")) return;
  on_a_host([] {
    TestWorld world(true);
    output_of({"nft", "add", "table", "ip", "filter"});
    output_of(
        {"nft", "add", "chain", "ip", "filter", "FORWARD", "{ type filter hook forward priority 0; policy drop; }"});
    std::string why;
    CHECK(make_routed(why) == nullptr);
    CHECK(why == "the firewall forwards nothing by itself (table ip filter)");
  });
}

TEST_CASE("programs that carry packets: pasta, slirp4netns") {
  if (!test::can_run(make_user_mode() != nullptr, "pasta and slirp4netns")) return;
  on_a_host([] {
    TestWorld world(false);
    const auto networks = open_networks(world.options);
    {
      const auto lease = networks->lease();
      check_outside(world, lease->network(), false);
      check_not_the_host(lease->network());
    }
    // The same namespace serves the next step; one that was changed does not.
    auto again = networks->lease();
    const int fd = again->network().fd;
    again.reset();
    again = networks->lease();
    CHECK(again->network().fd == fd);
    check_outside(world, again->network(), false);
    again->discard();
  });
}

TEST_CASE("a name server on the machine's loopback device answers steps, too") {
  CHECK(loopback_servers(
            "search a\nnameserver 127.0.0.53\n nameserver\t::1 \nnameserver 10.0.0.1\nnameserver 127.0.0.53") ==
        std::vector<std::string>{"127.0.0.53", "::1"});
  on_a_host([] {
    RouteSocket().bring_up("lo");
    const UniqueFd udp = bound("127.0.0.53", 53, SOCK_DGRAM), tcp = bound("127.0.0.53", 53, SOCK_STREAM);
    const UniqueFd name_space = make_name_space();
    const DnsRelay relay(name_space.get(), {"127.0.0.53", "::1"});
    std::thread server([&] {
      char text[64];
      sockaddr_storage from{};
      socklen_t size = sizeof from;
      const ssize_t got = ::recvfrom(udp.get(), text, sizeof text, 0, reinterpret_cast<sockaddr*>(&from), &size);
      (void)::sendto(udp.get(), text, static_cast<std::size_t>(std::max<ssize_t>(got, 0)), 0,
                     reinterpret_cast<sockaddr*>(&from), size);
      const UniqueFd taken(::accept4(tcp.get(), nullptr, nullptr, SOCK_CLOEXEC));
      const ssize_t more = ::recv(taken.get(), text, sizeof text, 0);
      (void)::send(taken.get(), text, static_cast<std::size_t>(std::max<ssize_t>(more, 0)), MSG_NOSIGNAL);
    });
    for (const int type : {SOCK_DGRAM, SOCK_STREAM}) {
      UniqueFd client;
      in_name_space(name_space.get(), [&] {
        const Place to("127.0.0.53", 53);
        client = UniqueFd(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
        REQUIRE(::connect(client.get(), to.get(), to.size) == 0);
      });
      REQUIRE(::send(client.get(), "question", 8, 0) == 8);
      char text[64];
      pollfd polled{client.get(), POLLIN, 0};
      REQUIRE(::poll(&polled, 1, 30'000) == 1);
      CHECK(std::string(text, static_cast<std::size_t>(::recv(client.get(), text, sizeof text, 0))) == "question");
    }
    server.join();
  });
}

TEST_CASE("a ledger is swept when its build is dead") {
  const TempDir dir = TempDir::in_tmp("cbuild-ledger-test-");
  std::vector<std::string> removed;
  const auto sweep = [&] { sweep_ledgers(dir.path(), [&](const std::string& entry) { removed.push_back(entry); }); };
  std::optional<Ledger> alive(dir.path());
  alive->add("first");
  sweep();
  CHECK(removed.empty());
  const pid_t child = ::fork();
  if (child == 0) {
    auto* dead = new Ledger(dir.path());
    dead->add("one");
    dead->add("two");
    sys::write_file_at(AT_FDCWD, dead->sibling("file"), "x");
    ::_exit(0);
  }
  REQUIRE(::waitpid(child, nullptr, 0) == child);
  sweep();
  CHECK(removed == std::vector<std::string>{"two", "one"});
  alive.reset();
  CHECK(std::filesystem::is_empty(dir.path()));
}

TEST_CASE("only the process that was noted is ended") {
  Child child = Child::spawn({.argv = {"sleep", "1000"}});
  const std::string entry = process_entry(child.pid());
  CHECK(end_process(cat("process ", child.pid(), " 1")));
  CHECK(::kill(child.pid(), 0) == 0);
  CHECK_FALSE(end_process("table x"));
  CHECK(end_process(entry));
  CHECK(child.wait() == 128 + SIGKILL);
}

TEST_CASE("a CNI configuration: its plugins in order, and backwards at the end") {
  on_a_host([] {
    TestWorld world(true);
    world.options.name = "site";
    world.options.cni_directory = world.dir.path();
    world.options.cni_plugins = {world.dir.path()};
    CHECK_THROWS_AS(open_networks(world.options), Error);
    const std::string log = world.dir.path() + "/calls";
    sys::write_file_at(AT_FDCWD, world.dir.path() + "/one",
                       cat("#!/bin/sh\ninput=$(cat)\necho \"$CNI_COMMAND one $CNI_IFNAME $input\" >>", log,
                           "\necho '{\"cniVersion\":\"1.0.0\",\"ips\":[]}'\n"));
    sys::write_file_at(AT_FDCWD, world.dir.path() + "/two",
                       cat("#!/bin/sh\ninput=$(cat)\necho \"$CNI_COMMAND two $CNI_IFNAME $input\" >>", log,
                           "\ntest $CNI_COMMAND = DEL || test -z \"$FAIL\" || exit 1\necho '{}'\n"));
    for (const char* name : {"/one", "/two"}) REQUIRE(::chmod((world.dir.path() + name).c_str(), 0755) == 0);
    sys::write_file_at(AT_FDCWD, world.dir.path() + "/10-site.conflist",
                       R"({"cniVersion":"1.0.0","name":"site","plugins":[{"type":"one"},{"type":"two","x":1}]})");
    CHECK(describe_networks(world.options) == "cni site");
    {
      const auto networks = open_networks(world.options);
      const auto lease = networks->lease();
      CHECK(lease->network().fd >= 0);
    }
    const std::vector<std::string> calls = split(sys::read_file_at(AT_FDCWD, log, 1u << 20), '\n');
    REQUIRE(calls.size() == 5);
    CHECK(calls[0].starts_with("ADD one eth0 "));
    CHECK(calls[0].find("prevResult") == std::string::npos);
    CHECK(calls[1].starts_with("ADD two eth0 "));
    CHECK(calls[1].find("\"prevResult\":{\"cniVersion\":\"1.0.0\",\"ips\":[]}") != std::string::npos);
    CHECK(calls[2].starts_with("DEL two eth0 "));
    CHECK(calls[3].starts_with("DEL one eth0 "));
  });
}

}  // namespace cbuild::sandbox::network
