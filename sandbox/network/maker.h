// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "sandbox/network/ledger.h"
#include "sandbox/network/networks.h"

namespace cbuild::sandbox::network {

/// A namespace that leads outside, as long as the object lives.
class Outlet {
 public:
  virtual ~Outlet() = default;
  int fd() const { return name_space_.get(); }
  /// What a step needs to know of it.
  virtual StepNetwork network(const Options& options);
  /// See Lease::take_refused().
  virtual std::vector<std::string> take_refused() { return {}; }

 protected:
  explicit Outlet(UniqueFd name_space) : name_space_(std::move(name_space)) {}

 private:
  UniqueFd name_space_;
};

/// One way to make them. Thread-safe.
class OutletMaker {
 public:
  virtual ~OutletMaker() = default;
  virtual std::string name() const = 0;
  /// Throws Error.
  virtual std::unique_ptr<Outlet> make(const Options& options, Ledger& ledger) = 0;
};

/// Through pasta or slirp4netns, processes that carry packets as an ordinary program; null if none of them is here or
/// /dev/net/tun cannot be opened.
std::unique_ptr<OutletMaker> make_user_mode();

/// Through pairs of devices and a table of nftables, for root. Null where that does not work; `why_not` says why.
std::unique_ptr<OutletMaker> make_routed(std::string& why_not);

/// As a CNI configuration of that name says, with its plugins. Throws Error{usage}, Error{not_found}.
std::unique_ptr<OutletMaker> make_cni(const Options& options);
/// To the hosts of Options::allowed and nowhere else, over this process. Throws Error{usage} for an invalid rule.
std::unique_ptr<OutletMaker> make_restricted(const Options& options);
/// Undoes what the entry of a dead build says. False if it is not one of CNI.
bool end_cni(const std::string& entry);

/// The path of a program of $PATH or the usual directories of the administrator's; empty if there is none.
std::string find_tool(std::string_view name);

}  // namespace cbuild::sandbox::network
