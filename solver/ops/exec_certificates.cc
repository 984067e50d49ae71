// SPDX-License-Identifier: Apache-2.0
#include "solver/ops/exec_certificates.h"

#include <string_view>

#include "base/error.h"
#include "base/process/subprocess.h"
#include "base/text.h"
#include "sandbox/trust/certificates.h"
#include "solver/ops/rootfs_path.h"

namespace cbuild::solver::ops {
namespace {

constexpr const char* kBundlePath = "/run/cbuild/ca-certificates.crt";
constexpr const char* kJavaPath = "/run/cbuild/ca-certificates.jks";
constexpr std::size_t kMaxBundle = 16u << 20;

/// Where distributions keep the certificates of their own, all in one file.
constexpr std::string_view kRootBundles[] = {
    "etc/ssl/certs/ca-certificates.crt",                 // Debian, Alpine, Arch
    "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  // Fedora and its kin
    "etc/pki/tls/certs/ca-bundle.crt",
    "etc/ssl/ca-bundle.pem",
    "etc/ssl/cert.pem",
};

/// Who reads them instead of the system's.
constexpr std::string_view kBundleVariables[] = {
    "SSL_CERT_FILE",        // OpenSSL, and so Python, Ruby, Perl, PHP; Go
    "CURL_CA_BUNDLE",       // curl
    "REQUESTS_CA_BUNDLE",   // Python's requests
    "PIP_CERT",             // pip
    "GIT_SSL_CAINFO",       // git
    "NODE_EXTRA_CA_CERTS",  // node
    "CARGO_HTTP_CAINFO",    // cargo
    "AWS_CA_BUNDLE",        // the clients of AWS
};

std::string root_bundle(const cache::TreeView* root) {
  for (const std::string_view path : kRootBundles) {
    auto found = root == nullptr ? std::nullopt : root->read_file(std::string(path), kMaxBundle);
    if (found) return std::move(*found);
  }
  return {};
}

/// Certificates of a root that are broken are the root's own affair: they do not keep a step from running.
std::vector<std::string> usable_certificates(const std::string& pem) {
  try {
    return sandbox::trust::read_pem(pem);
  } catch (const Error&) {
    return {};
  }
}

void mount_text(sandbox::Spec& spec, const char* path, std::string text) {
  spec.mounts.push_back({.target = path,
                         .source = sandbox::ContentSource{std::move(text), 0, 0, 0444},
                         .read_only = true,
                         .no_suid = true,
                         .no_dev = true,
                         .no_exec = true});
}

}  // namespace

void add_certificates(const std::string& pem, const cache::TreeView* root, sandbox::Spec& spec) {
  const std::string own = root_bundle(root);
  std::vector<std::string> all = sandbox::trust::read_pem(pem);
  for (std::string& one : usable_certificates(own)) all.push_back(std::move(one));
  mount_text(spec, kBundlePath, cat(pem, pem.ends_with('\n') ? "" : "\n", own));
  mount_text(spec, kJavaPath, sandbox::trust::java_key_store(all));
  for (const std::string_view name : kBundleVariables)
    if (!has_variable(spec.environment, name)) spec.environment.push_back(cat(name, "=", kBundlePath));
  if (!has_variable(spec.environment, "JAVA_TOOL_OPTIONS"))
    spec.environment.push_back(cat("JAVA_TOOL_OPTIONS=-Djavax.net.ssl.trustStore=", kJavaPath,
                                   " -Djavax.net.ssl.trustStorePassword=", sandbox::trust::kKeyStorePassword));
}

}  // namespace cbuild::solver::ops
