// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "oci/reference.h"
#include "oci/registry/client.h"
#include "supply/sign/key.h"

namespace cbuild::engine {

/// Which images have to be signed by whom: the part of containers-policy.json(5) that is about registries ("default"
/// and the scopes of "docker") and about keys ("sigstoreSigned" with keyPath or keyData, "reject",
/// "insecureAcceptAnything").
class SignaturePolicy {
 public:
  /// `read_file` gives the content of a key's file. Throws Error{input}, also for requirements of other types: none may
  /// go unheeded.
  static SignaturePolicy parse(std::string_view json, const std::function<std::string(const std::string&)>& read_file);

  /// Whether an image of that name is not simply accepted.
  bool concerns(const oci::Reference& reference) const;
  /// Throws Error{denied} for a name that is rejected whatever it gives.
  void check_name(const oci::Reference& reference) const;
  /// Asks for the signatures of what the name gives. Throws Error{denied} if a requirement is not met.
  void check(const oci::Reference& reference, const Digest& digest, oci::registry::Client& client) const;

 private:
  struct Requirement {
    bool reject = false;
    std::vector<std::shared_ptr<const supply::PublicKey>> keys;  ///< one of them; with none and no reject: anything
    std::string repository;                                      ///< that is signed for; empty: the image's own
  };
  using Requirements = std::vector<Requirement>;

  static bool accepts_anything(const Requirement& one) { return !one.reject && one.keys.empty(); }
  const Requirements& find(const oci::Reference& reference) const;

  Requirements default_;
  std::map<std::string, Requirements> scopes_;
  friend struct SignaturePolicyReader;
};

}  // namespace cbuild::engine
