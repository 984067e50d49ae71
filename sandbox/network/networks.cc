// SPDX-License-Identifier: Apache-2.0
// A pool over one way to reach outside, chosen once: a CNI list by name, else nftables, else a program that carries
// packets. Whoever needs a namespace gets an idle one of this build or a new one; a resolver on the machine's loopback
// is relayed into each. Before the first, what dead builds have left is removed (ledger.h).
#include "sandbox/network/networks.h"

#include <fcntl.h>

#include <mutex>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "sandbox/network/dns_relay.h"
#include "sandbox/network/maker.h"
#include "sandbox/network/name_space.h"

namespace cbuild::sandbox::network {
namespace {

constexpr std::size_t kMaxResolvConf = 1u << 20;

/// The IPv4 address that a namespace sends everything to.
std::string default_gateway(int name_space) {
  std::string out;
  in_name_space(name_space, [&] {
    const auto fd = sys::try_open_at(AT_FDCWD, "/proc/thread-self/net/route", O_RDONLY);
    for (const std::string& line : split(fd ? sys::read_all(fd->get(), kMaxResolvConf) : std::string(), '\n')) {
      const std::vector<std::string> fields = split(line, '\t');
      if (fields.size() < 8 || fields[1] != "00000000" || fields[7] != "00000000") continue;
      if (const auto address = parse_int(fields[2], 16))
        out = cat(*address & 255, ".", (*address >> 8) & 255, ".", (*address >> 16) & 255, ".", *address >> 24);
    }
  });
  return out;
}

/// A namespace with all that belongs to it.
struct Prepared {
  std::unique_ptr<Outlet> outlet;
  StepNetwork network;
  std::optional<DnsRelay> relay;  ///< last: it ends first
};

class Pool final : public Networks {
 public:
  Pool(const Options& options, std::unique_ptr<OutletMaker> maker)
      : options_(options), ledger_(options.ledger_directory), maker_(std::move(maker)) {}

  std::unique_ptr<Lease> lease() override;
  void give_back(std::unique_ptr<Prepared> prepared) {
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(prepared));
  }

 private:
  std::unique_ptr<Prepared> prepare();

  const Options options_;
  Ledger ledger_;
  const std::unique_ptr<OutletMaker> maker_;
  std::mutex mutex_;  // guards idle_
  std::vector<std::unique_ptr<Prepared>> idle_;
};

class PoolLease final : public Lease {
 public:
  PoolLease(Pool& pool, std::unique_ptr<Prepared> prepared) : pool_(pool), prepared_(std::move(prepared)) {}
  ~PoolLease() override {
    if (again_) pool_.give_back(std::move(prepared_));
  }
  const StepNetwork& network() const override { return prepared_->network; }
  std::vector<std::string> take_refused() override { return prepared_->outlet->take_refused(); }
  void discard() override { again_ = false; }

 private:
  Pool& pool_;
  std::unique_ptr<Prepared> prepared_;
  bool again_ = true;
};

std::unique_ptr<Prepared> Pool::prepare() {
  auto out = std::make_unique<Prepared>();
  out->outlet = maker_->make(options_, ledger_);
  out->network = out->outlet->network(options_);
  if (!options_.allowed.empty()) return out;
  const std::vector<std::string> loopback = loopback_servers(out->network.resolv_conf);
  if (!loopback.empty()) out->relay.emplace(out->network.fd, loopback);
  return out;
}

std::unique_ptr<Lease> Pool::lease() {
  std::unique_ptr<Prepared> prepared;
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      prepared = std::move(idle_.back());
      idle_.pop_back();
    }
  }
  if (!prepared) {
    try {
      prepared = prepare();
    } catch (Error& error) {
      error.add_context("network of the step");
      throw;
    }
  }
  return std::make_unique<PoolLease>(*this, std::move(prepared));
}

std::unique_ptr<OutletMaker> choose(const Options& options) {
  if (!options.allowed.empty()) return make_restricted(options);
  if (options.name != kSandbox) return make_cni(options);
  std::string why_not;
  if (auto routed = make_routed(why_not)) return routed;
  if (auto user_mode = make_user_mode()) return user_mode;
  const bool has_tun = sys::try_open_at(AT_FDCWD, "/dev/net/tun", O_RDWR).has_value();
  throw Error(ErrorCode::unsupported,
              cat("--network=sandbox: steps cannot be given a network of their own: ", why_not, "; ",
                  has_tun ? "neither pasta nor slirp4netns is installed" : "/dev/net/tun cannot be opened"))
      .with_hint(has_tun ? "install passt or slirp4netns, or use --network=host"
                         : "give this user /dev/net/tun (docker: --device /dev/net/tun), or use --network=host");
}

}  // namespace

StepNetwork Outlet::network(const Options& options) {
  return {fd(), read_resolv_conf(options.dns, options.resolv_conf), options.reach_host ? default_gateway(fd()) : ""};
}

std::unique_ptr<Networks> open_networks(const Options& options) {
  auto maker = choose(options);
  sweep_ledgers(options.ledger_directory, [](const std::string& entry) {
    if (!end_process(entry)) end_cni(entry);
  });
  return std::make_unique<Pool>(options, std::move(maker));
}

std::string read_resolv_conf(const std::vector<std::string>& dns, const std::string& path) {
  std::string text;
  for (const std::string& server : dns) text += cat("nameserver ", server, "\n");
  if (!text.empty()) return text;
  const auto fd = sys::try_open_at(AT_FDCWD, path, O_RDONLY);
  return fd ? sys::read_all(fd->get(), kMaxResolvConf) : std::string("\n");
}

std::string describe_networks(const Options& options) { return choose(options)->name(); }

}  // namespace cbuild::sandbox::network
