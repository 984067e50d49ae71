// SPDX-License-Identifier: Apache-2.0
// The part of a CNI run-time that a build needs: a network list of /etc/cni/net.d, its plugins one after the other with
// the result of the one before (ADD), and backwards at the end (DEL). The plugins keep state of their own, addresses
// above all, so each namespace is noted in the ledger before its first plugin runs: where a build is killed, the next
// one does the DEL.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/plain_file.h"
#include "base/process/subprocess.h"
#include "base/random.h"
#include "base/sys.h"
#include "base/text.h"
#include "sandbox/network/maker.h"
#include "sandbox/network/name_space.h"

namespace cbuild::sandbox::network {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

constexpr std::size_t kMaxNetworkConfig = 1u << 20;
constexpr std::chrono::seconds kPluginTimeout{60};

/// "name", "cniVersion" and "plugins" of a list; a file of a single plugin becomes a list of one.
std::optional<Json> read_network_list(const fs::path& path) {
  const auto text = sys::try_read_plain(AT_FDCWD, path.string(), kMaxNetworkConfig);
  Json list = text ? Json::parse(*text, nullptr, false) : Json();
  if (!list.is_object() || !list.contains("name") || !list["name"].is_string()) return std::nullopt;
  if (!list.contains("plugins")) {
    Json plugin = list;
    list = {{"name", plugin["name"]}, {"cniVersion", plugin.value("cniVersion", "0.3.1")}, {"plugins", {plugin}}};
  }
  return list["plugins"].is_array() && !list["plugins"].empty() ? std::optional(list) : std::nullopt;
}

Json find_network_list(const std::string& directory, const std::string& name) {
  std::error_code none;
  std::vector<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(directory, none)) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> known;
  for (const fs::path& path : paths) {
    const std::string kind = path.extension().string();
    if (kind != ".conflist" && kind != ".conf" && kind != ".json") continue;
    const auto list = read_network_list(path);
    if (list && (*list)["name"] == name) return *list;
    if (list) known.push_back((*list)["name"].get<std::string>());
  }
  throw Error(ErrorCode::usage, cat("--network: no network '", name, "' in ", directory))
      .with_hint(cat("default, host, none or sandbox", known.empty() ? "" : ", or ", join(known, ", ")));
}

/// One namespace of one list; as text in the ledger.
struct CniRun {
  Json list;
  std::vector<std::string> directories;
  std::string container, name_space;

  std::string entry() const {
    return cat("cni ", Json{{"list", list}, {"directories", directories}, {"container", container}}.dump());
  }
  Json call(const char* command, const Json& plugin, const Json& previous) const;
  Json add() const;
  void remove() const;
};

std::string plugin_path(const std::vector<std::string>& directories, const std::string& type) {
  if (!type.empty() && type.find('/') == std::string::npos)
    for (const std::string& directory : directories)
      if (const std::string path = cat(directory, "/", type); ::access(path.c_str(), X_OK) == 0) return path;
  throw Error(ErrorCode::not_found, cat("CNI plugin '", type, "' is not in ", join(directories, " or ")))
      .with_hint("install containernetworking-plugins");
}

Json CniRun::call(const char* command, const Json& plugin, const Json& previous) const {
  const std::string type = plugin.is_object() ? plugin.value("type", "") : std::string();
  Json config = plugin;
  config["name"] = list["name"];
  config["cniVersion"] = list.value("cniVersion", "0.3.1");
  if (!previous.is_null()) config["prevResult"] = previous;
  const std::vector<std::string> environment = {cat("CNI_COMMAND=", command),
                                                cat("CNI_CONTAINERID=", container),
                                                cat("CNI_NETNS=", name_space),
                                                "CNI_IFNAME=eth0",
                                                cat("CNI_PATH=", join(directories, ":")),
                                                "PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
  const CommandResult result =
      run_command({plugin_path(directories, type)}, config.dump(), kPluginTimeout, kMaxNetworkConfig, environment);
  Json answer = Json::parse(result.out, nullptr, false);
  if (result.exit_code == 0) return answer.is_object() ? answer : previous;
  const std::string reason =
      answer.is_object() ? answer.value("msg", "") + " " + answer.value("details", "") : result.err;
  throw Error(ErrorCode::unsupported, cat("CNI plugin ", type, ": ", trim(reason)));
}

Json CniRun::add() const {
  Json result;
  for (const Json& plugin : list["plugins"]) result = call("ADD", plugin, result);
  return result;
}

/// Best effort, as the specification has it: each plugin is asked, whatever the others say.
void CniRun::remove() const {
  for (auto plugin = list["plugins"].rbegin(); plugin != list["plugins"].rend(); ++plugin) {
    try {
      (void)call("DEL", *plugin, Json());
    } catch (const Error&) {
      continue;
    }
  }
}

class CniOutlet final : public Outlet {
 public:
  CniOutlet(UniqueFd name_space, const Options& options, const Json& list, Ledger& ledger)
      : Outlet(std::move(name_space)),
        run_{list, options.cni_plugins, cat("cbuild-", random_hex()), cat("/proc/", ::getpid(), "/fd/", fd())} {
    ledger.add(run_.entry());
    try {
      (void)run_.add();
    } catch (const Error&) {
      run_.remove();
      throw;
    }
  }
  ~CniOutlet() override {
    try {
      run_.remove();
    } catch (const std::exception&) {
      return;
    }
  }

 private:
  const CniRun run_;
};

class Cni final : public OutletMaker {
 public:
  explicit Cni(Json list) : list_(std::move(list)) {}
  std::string name() const override { return cat("cni ", list_["name"].get<std::string>()); }
  std::unique_ptr<Outlet> make(const Options& options, Ledger& ledger) override {
    return std::make_unique<CniOutlet>(make_name_space(), options, list_, ledger);
  }

 private:
  const Json list_;
};

}  // namespace

std::unique_ptr<OutletMaker> make_cni(const Options& options) {
  Json list = find_network_list(options.cni_directory, options.name);
  for (const Json& plugin : list["plugins"])
    (void)plugin_path(options.cni_plugins, plugin.is_object() ? plugin.value("type", "") : std::string());
  return std::make_unique<Cni>(std::move(list));
}

bool end_cni(const std::string& entry) {
  if (!entry.starts_with("cni ")) return false;
  const Json said = Json::parse(entry.substr(4), nullptr, false);
  if (!said.is_object() || !said.contains("list") || !said.contains("directories")) return true;
  CniRun{said["list"], said["directories"].get<std::vector<std::string>>(), said.value("container", ""), ""}.remove();
  return true;
}

}  // namespace cbuild::sandbox::network
