// SPDX-License-Identifier: Apache-2.0
// cbuildd: answers BuildKit's API on the store of cbuild.
#include <CLI/CLI.hpp>
#include <csignal>
#include <iostream>

#include "api/daemon/server.h"
#include "base/error.h"
#include "base/process/interrupts.h"
#include "base/process/standard_fds.h"
#include "base/text.h"

namespace {

using namespace cbuild;

struct DaemonLine {
  std::vector<std::string> addresses;
  std::string root;
  api::TlsFiles tls;
  std::vector<std::string> entitlements;
  unsigned builds = 8;
  unsigned idle_s = 0;
};

/// Wrong usage is told before anything is opened.
void check_line(const DaemonLine& line) {
  const api::TlsFiles& tls = line.tls;
  const bool none = tls.certificate.empty() && tls.key.empty() && tls.authority.empty();
  const bool all = !tls.certificate.empty() && !tls.key.empty() && !tls.authority.empty();
  if (!none && !all) throw Error(ErrorCode::usage, "--tlscert, --tlskey and --tlscacert go together");
}

int run(const DaemonLine& line) {
  check_line(line);
  api::EngineSlots slots(line.root, line.builds);  // before there are threads
  api::ServerSettings settings;
  settings.listeners = api::inherited_listeners();
  for (const std::string& address : line.addresses) settings.listeners.push_back(api::listen_on(address));
  if (settings.listeners.empty()) settings.listeners.push_back(api::listen_on("unix:///run/cbuild/cbuildd.sock"));
  settings.tls = line.tls;
  settings.entitlements = line.entitlements;
  settings.idle = std::chrono::seconds(line.idle_s);
  CancelSource stop;
  const Interrupts interrupts(stop);
  for (const api::Listener& listener : settings.listeners) {
    if (!listener.is_local && line.tls.certificate.empty())
      std::cerr << "warning: " << listener.name << ": whoever reaches this address may build as this user\n";
    std::cerr << "listening on " << listener.name << "\n";
  }
  api::serve(slots, settings, stop);
  for (const api::Listener& listener : settings.listeners)
    if (!listener.path.empty()) std::remove(listener.path.c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  open_standard_fds();
  std::signal(SIGXFSZ, SIG_IGN);
  std::signal(SIGPIPE, SIG_IGN);
  DaemonLine line;
  CLI::App app{"Answer BuildKit's API on the store of cbuild", "cbuildd"};
  app.add_option("--addr", line.addresses, "unix:///PATH or tcp://HOST:PORT; may be repeated")->allow_extra_args(false);
  app.add_option("--root", line.root, "Directory of the store");
  app.add_option("--tlscert", line.tls.certificate, "PEM file of the server's certificate, for TCP");
  app.add_option("--tlskey", line.tls.key, "PEM file of its key");
  app.add_option("--tlscacert", line.tls.authority, "PEM file of the authority whose clients are let in");
  app.add_option("--allow", line.entitlements, "Entitlement that clients may ask for; may be repeated")
      ->allow_extra_args(false)
      ->check(CLI::IsMember({"network.host", "security.insecure", "device"}));
  app.add_option("--builds", line.builds, "How many builds may run at once (default 8)")->check(CLI::Range(1, 256));
  app.add_option("--idle", line.idle_s, "End after so many seconds without a client; 0: never");
  app.set_version_flag("--version", "cbuildd " CBUILD_VERSION);
  CLI11_PARSE(app, argc, argv);
  try {
    return run(line);
  } catch (const Error& error) {
    std::cerr << "ERROR: " << error.what() << "\n";
    if (!error.hint().empty()) std::cerr << "hint: " << error.hint() << "\n";
    return error.code() == ErrorCode::usage ? 2 : 1;
  } catch (const std::exception& error) {
    std::cerr << "ERROR: internal: " << error.what() << "\n";
    return 1;
  }
}
