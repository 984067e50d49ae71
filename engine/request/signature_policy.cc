// SPDX-License-Identifier: Apache-2.0
// The policy that podman, buildah and skopeo read, as far as it is about registries and keys. Of the scopes that fit an
// image the most specific one counts: its name with the tag or digest, the repository, each namespace above it, the
// host, wildcards of the host's domains, "", the default.
#include "engine/request/signature_policy.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "engine/request/verify.h"

namespace cbuild::engine {
namespace {

using SignatureRules = nlohmann::json;

[[noreturn]] void refuse_rule(const std::string& why) { throw Error(ErrorCode::input, cat("signature policy: ", why)); }

std::string rule_text(const SignatureRules& json, const char* name) {
  const auto found = json.find(name);
  if (found == json.end()) return {};
  if (!found->is_string()) refuse_rule(cat(name, " is not a text"));
  return *found;
}

/// From the most specific one on.
std::vector<std::string> scopes_of(const oci::Reference& reference) {
  std::vector<std::string> out;
  const std::string name = reference.name();
  if (!reference.tag.empty()) out.push_back(cat(name, ":", reference.tag));
  if (reference.digest) out.push_back(cat(name, "@", reference.digest->str()));
  for (std::string scope = name;; scope.resize(scope.rfind('/'))) {
    out.push_back(scope);
    if (scope.find('/') == std::string::npos) break;
  }
  std::string host = reference.registry.substr(0, reference.registry.rfind(':'));
  for (std::size_t dot = host.find('.'); dot != std::string::npos; dot = host.find('.')) {
    host.erase(0, dot + 1);
    out.push_back(cat("*.", host));
  }
  out.emplace_back();
  return out;
}

}  // namespace

/// Reads the parts of a policy.
struct SignaturePolicyReader {
  const std::function<std::string(const std::string&)>& read_file;

  std::shared_ptr<const supply::PublicKey> key(const std::string& pem, const std::string& name) const {
    return std::make_shared<const supply::PublicKey>(supply::PublicKey::parse(pem, name));
  }

  void read_identity(const SignatureRules& json, SignaturePolicy::Requirement& out) const {
    const auto found = json.find("signedIdentity");
    if (found == json.end()) return;
    const std::string type = found->is_object() ? rule_text(*found, "type") : std::string();
    if (type == "exactRepository") {
      out.repository = oci::parse_reference(rule_text(*found, "dockerRepository")).name();
    } else if (type != "matchRepository" && type != "matchRepoDigestOrExact") {
      refuse_rule(cat("signedIdentity '", type, "' is not supported"));
    }
  }

  SignaturePolicy::Requirement requirement(const SignatureRules& json) const {
    if (!json.is_object()) refuse_rule("a requirement is not an object");
    SignaturePolicy::Requirement out;
    const std::string type = rule_text(json, "type");
    if (type == "insecureAcceptAnything") return out;
    if (type == "reject") {
      out.reject = true;
      return out;
    }
    if (type != "sigstoreSigned")
      refuse_rule(cat("requirement '", type, "' is not sigstoreSigned, reject or insecureAcceptAnything"));
    if (json.contains("fulcio") || json.contains("rekorPublicKeyPath")) refuse_rule("only keys are supported");
    const std::string path = rule_text(json, "keyPath"), data = rule_text(json, "keyData");
    if (path.empty() == data.empty()) refuse_rule("sigstoreSigned needs keyPath or keyData");
    if (!path.empty()) out.keys.push_back(key(read_file(path), path));
    if (!data.empty()) out.keys.push_back(key(base64_decode(data).value_or(std::string()), "keyData"));
    read_identity(json, out);
    return out;
  }

  SignaturePolicy::Requirements requirements(const SignatureRules& json) const {
    if (!json.is_array() || json.empty()) refuse_rule("requirements are not a list with an entry at least");
    SignaturePolicy::Requirements out;
    for (const SignatureRules& one : json) out.push_back(requirement(one));
    return out;
  }
};

SignaturePolicy SignaturePolicy::parse(std::string_view json,
                                       const std::function<std::string(const std::string&)>& read_file) {
  const SignatureRules document = SignatureRules::parse(json, nullptr, false);
  if (!document.is_object()) refuse_rule("is not a JSON object");
  const SignaturePolicyReader reader{read_file};
  SignaturePolicy out;
  for (const auto& [name, value] : document.items()) {
    if (name == "default") {
      out.default_ = reader.requirements(value);
    } else if (name != "transports") {
      refuse_rule(cat("unknown member '", name, "'"));
    } else if (const auto docker = value.find("docker"); value.is_object() && docker != value.end()) {
      for (const auto& [scope, rules] : docker->items()) out.scopes_[scope] = reader.requirements(rules);
    }
  }
  if (out.default_.empty()) refuse_rule("\"default\" is missing");
  return out;
}

const SignaturePolicy::Requirements& SignaturePolicy::find(const oci::Reference& reference) const {
  for (const std::string& scope : scopes_of(reference))
    if (const auto found = scopes_.find(scope); found != scopes_.end()) return found->second;
  return default_;
}

bool SignaturePolicy::concerns(const oci::Reference& reference) const {
  const Requirements& rules = find(reference);
  return !std::all_of(rules.begin(), rules.end(), accepts_anything);
}

void SignaturePolicy::check_name(const oci::Reference& reference) const {
  const Requirements& rules = find(reference);
  if (std::any_of(rules.begin(), rules.end(), [](const Requirement& one) { return one.reject; }))
    throw Error(ErrorCode::denied, cat("the signature policy rejects ", reference.familiar()));
}

void SignaturePolicy::check(const oci::Reference& reference, const Digest& digest,
                            oci::registry::Client& client) const {
  check_name(reference);
  for (const Requirement& one : find(reference)) {
    if (accepts_anything(one)) continue;
    const std::string wanted = one.repository.empty() ? reference.name() : one.repository;
    const bool met = std::any_of(one.keys.begin(), one.keys.end(), [&](const auto& key) {
      const auto found = verified_signatures(client, reference, digest, *key);
      return std::any_of(found.begin(), found.end(),
                         [&](const supply::SignedImage& image) { return signed_repository(image) == wanted; });
    });
    if (!met)
      throw Error(ErrorCode::denied,
                  cat("no signature of ", reference.familiar(), " (", digest.str(), ") meets the signature policy"));
  }
}

}  // namespace cbuild::engine
