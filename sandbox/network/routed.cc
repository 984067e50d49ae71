// SPDX-License-Identifier: Apache-2.0
//
// Each namespace has a pair of devices with addresses of its own, and the machine forwards between it and the outside.
// Nothing has to be taken away: the pair goes with the namespace, and the table belongs to an nft(8) that ends with its
// standard input, which is ours; so a build that is killed leaves nothing (docs/networks.md). No setting of the machine
// is changed: where it does not forward, or a firewall does not, another way is taken.
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/process/process_limits.h"
#include "base/process/subprocess.h"
#include "base/random.h"
#include "base/sys.h"
#include "base/text.h"
#include "sandbox/network/maker.h"
#include "sandbox/network/name_space.h"
#include "sandbox/network/netlink.h"

namespace cbuild::sandbox::network {
namespace {

constexpr int kAnswerMs = 10'000;
constexpr std::size_t kMaxAnswer = 1u << 20;
constexpr unsigned kPerBlock = 64;  ///< pairs of addresses in the last byte of 10.B.C.0/24

std::string read_setting(const std::string& path) {
  const auto fd = sys::try_open_at(AT_FDCWD, path, O_RDONLY);
  return fd ? std::string(trim(sys::read_all(fd->get(), 1u << 20))) : std::string();
}

/// Whether any route of this namespace but the default one touches the 256 addresses from `network` (host order).
bool is_routed(std::uint32_t network) {
  const std::vector<std::string> lines = split(read_setting("/proc/thread-self/net/route"), '\n');
  return std::any_of(lines.begin(), lines.end(), [&](const std::string& line) {
    const std::vector<std::string> fields = split(line, '\t');
    if (fields.size() < 8) return false;
    const auto to = parse_int(fields[1], 16), mask = parse_int(fields[7], 16);
    if (!to || !mask || *mask == 0) return false;
    const std::uint32_t both = __builtin_bswap32(static_cast<std::uint32_t>(*mask)) & 0xffffff00U;
    return ((__builtin_bswap32(static_cast<std::uint32_t>(*to)) ^ network) & both) == 0;
  });
}

/// The firewall of another program that forwards nothing unless it is told to (Docker's, for example).
std::string closed_chain(const std::string& ruleset) {
  std::string table;
  for (const std::string& line : split(ruleset, '\n')) {
    const std::string_view text = trim(line);
    if (text.starts_with("table ")) table = text;
    if (text.find("hook forward") != std::string_view::npos && text.find("policy drop") != std::string_view::npos)
      return table.substr(0, table.find(" {"));
  }
  return {};
}

/// A table of nftables that goes with the object, or with this process.
class Table {
 public:
  Table(const std::string& nft, const std::string& name) : name_(name) {
    auto [commands_end, commands] = make_pipe();
    auto [answers, answers_end] = make_pipe();
    nft_.emplace(Child::spawn({.argv = {nft, "-i"},
                               .stdin_fd = commands_end.get(),
                               .stdout_fd = answers_end.get(),
                               .stderr_fd = answers_end.get()}));
    commands_ = std::move(commands);
    answers_ = std::move(answers);
  }
  ~Table() {
    commands_.reset();
    if (nft_) nft_->wait();
  }
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;

  /// In force when it returns. Throws Error.
  void add(const std::string& lines) {
    sys::write_all(commands_.get(), cat(replace_all(lines, "TABLE", cat("inet ", name_)), "list tables inet\n"));
    std::string answer;
    while (answer.find(cat("table inet ", name_, "\n")) == std::string::npos) {
      pollfd polled{answers_.get(), POLLIN, 0};
      char text[4096];
      const ssize_t size = ::poll(&polled, 1, kAnswerMs) == 1 ? ::read(answers_.get(), text, sizeof text) : 0;
      if (size > 0) answer.append(text, static_cast<std::size_t>(size));
      if (size <= 0 || answer.find("Error") != std::string::npos || answer.size() > kMaxAnswer)
        throw Error(ErrorCode::unsupported, cat("nft: ", replace_all(std::string(trim(answer)), "\n", "; ")));
    }
  }

 private:
  const std::string name_;
  UniqueFd commands_, answers_;
  std::optional<Child> nft_;
};

class RoutedOutlet final : public Outlet {
 public:
  explicit RoutedOutlet(UniqueFd name_space) : Outlet(std::move(name_space)) {}
};

class Routed final : public OutletMaker {
 public:
  Routed(std::string nft, bool ipv6) : nft_(std::move(nft)), ipv6_(ipv6), id_(random_hex().substr(0, 6)) {}

  std::string name() const override { return "nftables"; }
  std::unique_ptr<Outlet> make(const Options& options, Ledger& ledger) override;

 private:
  unsigned take_number(const Options& options);
  void open_table(const Options& options);
  void add_block();
  std::string v6(unsigned number, const char* end) const {
    return cat("fd", id_.substr(0, 2), ":", id_.substr(2), ":", hex(number), "::", end);
  }
  static std::string hex(unsigned number) {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string out;
    for (int shift = 12; shift >= 0; shift -= 4) out += kDigits[(number >> shift) & 15];
    return out;
  }

  const std::string nft_;
  const bool ipv6_;
  const std::string id_;  ///< of this build, in the names of its table and devices
  std::mutex mutex_;      // guards all below
  std::optional<Table> table_;
  std::vector<std::uint32_t> blocks_;
  unsigned next_ = 0;
};

void Routed::open_table(const Options& options) {
  table_.emplace(nft_, cat("cbuild-", id_));
  std::string rules =
      "add table TABLE { flags owner; }\n"
      "add chain TABLE post { type nat hook postrouting priority 100; }\n"
      "add chain TABLE forward { type filter hook forward priority 0; }\n"
      "add chain TABLE input { type filter hook input priority 0; }\n"
      "add rule TABLE forward iifname \"cb-*\" oifname \"cb-*\" drop\n";
  if (!options.reach_host)
    rules += cat("add rule TABLE input iifname \"cb-", id_, "-*\" meta l4proto != ipv6-icmp drop\n");
  if (ipv6_)
    rules += cat("add rule TABLE post ip6 saddr fd", id_.substr(0, 2), ":", id_.substr(2),
                 "::/32 oifname != \"cb-*\" masquerade\n");
  table_->add(rules);
}

void Routed::add_block() {
  for (int tries = 0; tries < 1000; ++tries) {
    const auto bits = static_cast<std::uint32_t>(*parse_int(random_hex().substr(0, 4), 16));
    const std::uint32_t block = 0x0a000000U | ((64 + (bits >> 8) % 128) << 16) | ((bits & 255) << 8);
    if (is_routed(block)) continue;
    blocks_.push_back(block);
    table_->add(cat("add rule TABLE post ip saddr 10.", (block >> 16) & 255, ".", (block >> 8) & 255,
                    ".0/24 oifname != \"cb-*\" masquerade\n"));
    return;
  }
  throw Error(ErrorCode::unsupported, "no free addresses for a network of steps in 10.64.0.0/9");
}

unsigned Routed::take_number(const Options& options) {
  const std::lock_guard lock(mutex_);
  if (!table_) open_table(options);
  if (next_ == blocks_.size() * kPerBlock) add_block();
  return next_++;
}

std::unique_ptr<Outlet> Routed::make(const Options& options, Ledger&) {
  const unsigned number = take_number(options);
  const std::uint32_t block = [&] {
    const std::lock_guard lock(mutex_);
    return blocks_[number / kPerBlock];
  }();
  const std::string start = cat("10.", (block >> 16) & 255, ".", (block >> 8) & 255, ".");
  const std::string ours = cat(start, number % kPerBlock * 4 + 1), theirs = cat(start, number % kPerBlock * 4 + 2);
  const std::string device = cat("cb-", id_, "-", number);
  UniqueFd name_space = make_name_space();
  const int fd = name_space.get();
  auto outlet = std::make_unique<RoutedOutlet>(std::move(name_space));
  RouteSocket here;
  here.add_pair(device, "eth0", fd);
  here.add_address(device, ours, 30);
  if (ipv6_) here.add_address(device, v6(number, "1"), 64);
  here.bring_up(device);
  in_name_space(fd, [&] {
    RouteSocket there;
    there.add_address("eth0", theirs, 30);
    if (ipv6_) there.add_address("eth0", v6(number, "2"), 64);
    there.bring_up("eth0");
    there.add_default_route(ours, "eth0");
    if (ipv6_) there.add_default_route(v6(number, "1"), "eth0");
  });
  return outlet;
}

}  // namespace

std::unique_ptr<OutletMaker> make_routed(std::string& why_not) {
  const std::string nft = find_tool("nft");
  if (!has_capability(CAP_NET_ADMIN)) {
    why_not = "no right to set up networks";
  } else if (nft.empty()) {
    why_not = "nft (package nftables) is missing";
  } else if (read_setting("/proc/sys/net/ipv4/ip_forward") != "1") {
    why_not = "this machine forwards nothing (sysctl net.ipv4.ip_forward)";
  } else if (const CommandResult rules = run_command({nft, "list", "ruleset"}); rules.exit_code != 0) {
    why_not = cat("nft: ", trim(rules.err));
  } else if (const std::string chain = closed_chain(rules.out); !chain.empty()) {
    why_not = cat("the firewall forwards nothing by itself (", chain, ")");
  } else {
    const bool ipv6 = read_setting("/proc/sys/net/ipv6/conf/all/forwarding") == "1";
    return std::make_unique<Routed>(nft, ipv6);
  }
  return nullptr;
}

}  // namespace cbuild::sandbox::network
