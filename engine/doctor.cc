// SPDX-License-Identifier: Apache-2.0
#include "engine/doctor.h"

#include <unistd.h>

#include "base/text.h"
#include "oci/platform.h"
#include "sandbox/binfmt.h"
#include "sandbox/network/networks.h"

namespace cbuild::engine {
namespace {

/// GOARCHs that images are commonly made for.
constexpr const char* kArchitectures[] = {"amd64", "arm64", "arm", "riscv64", "ppc64le", "s390x"};

Finding found(const std::string& topic, bool works, const std::string& detail, const std::string& remedy = {}) {
  return {topic, works, detail, works ? std::string() : remedy};
}

void add_modes(Examination& out, const Session& session) {
  if (session.no_user_namespace) {
    const Error& error = *session.no_user_namespace;
    out.findings.push_back(found("user-namespace", false, error.message(), error.hint()));
    return;
  }
  const sandbox::ProbeResult probe = sandbox::probe(session.unprivileged);
  out.mode = probe.mode;
  for (const sandbox::Refusal& refusal : probe.refused)
    out.findings.push_back(found(std::string(to_string(refusal.mode)), false, refusal.what, refusal.remedy));
  if (probe.mode == sandbox::Mode::none) return;
  const std::string lacks = probe.lacks.empty() ? "" : cat("without: ", join(probe.lacks, ", "));
  out.findings.push_back(found(std::string(to_string(probe.mode)), true, lacks));
  if (session.unprivileged) out.findings.push_back(found("ids", true, session.user_namespace));
}

void add_store(Examination& out, const Session& session, cache::Store& store) {
  const bool mounts = out.mode != sandbox::Mode::none && out.mode != sandbox::Mode::chroot;
  if (!mounts) return;
  const cache::Staging trial = store.stage("doctor");
  const bool overlay = sandbox::can_mount_overlay(trial.tree_fd(), session.user_xattr);
  out.findings.push_back(found("overlay", overlay, cat(overlay ? "on " : "refused on ", store.root()),
                               "steps run on copies of their root; put the store on a volume (--root DIR)"));
}

/// The way of --network=sandbox; without it steps have the machine's network or none.
void add_networks(Examination& out, const cache::Store& store) {
  if (out.mode == sandbox::Mode::none) return;
  sandbox::network::Options options;
  options.ledger_directory = cat(store.root(), "/networks");
  try {
    out.findings.push_back(found("own network", true, cat("by ", sandbox::network::describe_networks(options))));
  } catch (const Error& error) {
    out.findings.push_back(found("own network", false, error.message(), error.hint()));
  }
}

void add_platforms(Examination& out) {
  const std::string host = oci::host_platform().architecture;
  std::vector<std::string> present;
  std::string missing;
  for (const std::string architecture : kArchitectures) {
    if (!sandbox::is_foreign(architecture, host)) continue;
    if (sandbox::find_interpreter(architecture) == sandbox::Interpreter::present)
      present.push_back(cat("linux/", architecture));
    else if (missing.empty())
      missing = architecture;
  }
  const std::string detail = present.empty() ? "no interpreter for their programs is registered" : join(present, ", ");
  out.findings.push_back({"other platforms", !present.empty(), detail,
                          missing.empty() ? std::string() : sandbox::interpreter_advice(missing)});
}

}  // namespace

Examination examine_machine(const Session& session, cache::Store& store) {
  Examination out;
  add_modes(out, session);
  add_store(out, session, store);
  add_networks(out, store);
  add_platforms(out);
  return out;
}

}  // namespace cbuild::engine
