// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "base/error.h"
#include "sandbox/network/dns_relay.h"
#include "sandbox/network/egress_relay.h"
#include "sandbox/network/maker.h"
#include "sandbox/network/name_space.h"

namespace cbuild::sandbox::network {
namespace {

class RestrictedOutlet final : public Outlet {
 public:
  RestrictedOutlet(UniqueFd name_space, EgressSettings settings)
      : Outlet(std::move(name_space)), relay_(fd(), std::move(settings)) {}

  StepNetwork network(const Options& options) override {
    return {fd(), std::string("nameserver ") + kEgressResolver + "\n", options.reach_host ? kEgressGateway : ""};
  }
  std::vector<std::string> take_refused() override { return relay_.take_refused(); }

 private:
  EgressRelay relay_;
};

class Restricted final : public OutletMaker {
 public:
  explicit Restricted(EgressRules rules) : rules_(std::move(rules)) {}

  std::string name() const override { return "restricted to the hosts of --allow-net"; }
  std::unique_ptr<Outlet> make(const Options& options, Ledger& /*ledger*/) override {
    const std::string servers = read_resolv_conf(options.dns, options.resolv_conf);
    return std::make_unique<RestrictedOutlet>(make_name_space(),
                                              EgressSettings{rules_, name_servers(servers), options.hosts});
  }

 private:
  const EgressRules rules_;
};

}  // namespace

std::unique_ptr<OutletMaker> make_restricted(const Options& options) {
  return std::make_unique<Restricted>(EgressRules(options.allowed));
}

}  // namespace cbuild::sandbox::network
