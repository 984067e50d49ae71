// SPDX-License-Identifier: Apache-2.0
// The names of scopes and variables are those of buildx, which editors' plugins and their users know.
#include "cli/dap/dap_variables.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::cli {
namespace {

constexpr std::size_t kMostShown = 64u << 10;
constexpr std::size_t kMostEntries = 10'000;

std::string mode_text(mode_t mode) {
  const char kind = S_ISDIR(mode) ? 'd' : S_ISLNK(mode) ? 'L' : S_ISREG(mode) ? '-' : 'D';
  std::string text(1, kind);
  for (int bit = 8; bit >= 0; --bit) text += ((mode >> bit) & 1) != 0 ? "xwr"[bit % 3] : '-';
  return text;
}

std::string entry_text(const cache::TreeView::Entry& entry) {
  return cat(mode_text(entry.st.st_mode), ' ', entry.st.st_uid, ':', entry.st.st_gid, ' ',
             format_rfc3339(entry.st.st_mtim.tv_sec));
}

}  // namespace

std::int64_t DapVariables::add(Node node) {
  nodes_.push_back(std::move(node));
  return static_cast<std::int64_t>(nodes_.size());
}

DapJson DapVariables::variable(const std::string& name, const std::string& value, Node node) {
  return {{"name", name}, {"value", value}, {"variablesReference", node ? add(std::move(node)) : 0}};
}

DapJson DapVariables::children(std::int64_t reference) const {
  if (reference < 1 || static_cast<std::size_t>(reference) > nodes_.size()) return DapJson::array();
  const Node node = nodes_[static_cast<std::size_t>(reference) - 1];  // opening it adds others
  try {
    return node();
  } catch (const Error& error) {
    return DapJson::array({{{"name", "error"}, {"value", error.what()}, {"variablesReference", 0}}});
  }
}

DapJson DapVariables::command(const solver::ExecOp& op) {
  DapJson out = DapJson::array();
  out.push_back(variable("args", join(op.argv, " "), [this, words = op.argv] {
    DapJson list = DapJson::array();
    for (std::size_t i = 0; i < words.size(); ++i) list.push_back(variable(std::to_string(i), words[i]));
    return list;
  }));
  out.push_back(variable("env", join(op.environment, " "), [this, entries = op.environment] {
    DapJson list = DapJson::array();
    for (const std::string& entry : entries) {
      const std::size_t equals = std::min(entry.find('='), entry.size());
      list.push_back(variable(entry.substr(0, equals), entry.substr(std::min(equals + 1, entry.size()))));
    }
    return list;
  }));
  if (!op.working_dir.empty()) out.push_back(variable("workdir", op.working_dir));
  if (!op.user.empty()) out.push_back(variable("user", op.user));
  return out;
}

DapJson DapVariables::file(const std::shared_ptr<const cache::TreeView>& files, const std::string& path,
                           const cache::TreeView::Entry& entry) {
  DapJson out = DapJson::array();
  if (S_ISREG(entry.st.st_mode)) {
    const UniqueFd fd = files->open(path, O_RDONLY);
    std::string text(kMostShown, ' ');
    text.resize(sys::read_some(fd.get(), std::as_writable_bytes(std::span(text))));
    out.push_back(variable("data", text.find('\0') == std::string::npos ? text : "binary data"));
  }
  if (S_ISLNK(entry.st.st_mode)) out.push_back(variable("linkname", files->read_link(path)));
  out.push_back(variable("mode", mode_text(entry.st.st_mode)));
  out.push_back(variable("uid", std::to_string(entry.st.st_uid)));
  out.push_back(variable("gid", std::to_string(entry.st.st_gid)));
  out.push_back(variable("size", std::to_string(entry.st.st_size)));
  return out;
}

DapJson DapVariables::directory(const std::shared_ptr<const cache::TreeView>& files, const std::string& path) {
  DapJson out = DapJson::array();
  for (const cache::TreeView::Entry& entry : files->list(path)) {
    if (out.size() == kMostEntries) break;
    const std::string inside = child_path(path, entry.name);
    if (S_ISDIR(entry.st.st_mode))
      out.push_back(variable(cat(entry.name, "/"), "", [this, files, inside] { return directory(files, inside); }));
    else
      out.push_back(
          variable(entry.name, entry_text(entry), [this, files, inside, entry] { return file(files, inside, entry); }));
  }
  return out;
}

DapJson DapVariables::scopes(const solver::Vertex& vertex, std::shared_ptr<const cache::TreeView> files) {
  DapJson out = DapJson::array();
  const auto* op = std::get_if<solver::ExecOp>(&vertex.op);
  const auto arguments = [this, op = op == nullptr ? std::optional<solver::ExecOp>() : *op] {
    DapJson list = DapJson::array();
    if (!op) return list;
    list.push_back(variable("platform", op->platform));
    list.push_back(variable("exec", join(op->argv, " "), [this, own = *op] { return command(own); }));
    return list;
  };
  out.push_back({{"name", "Arguments"},
                 {"presentationHint", "arguments"},
                 {"variablesReference", add(arguments)},
                 {"expensive", false}});
  if (!files) return out;
  const auto roots = [this, files = std::move(files)] {
    return DapJson::array({variable("/", "", [this, files] { return directory(files, ""); })});
  };
  out.push_back({{"name", "File Explorer"},
                 {"presentationHint", "locals"},
                 {"variablesReference", add(roots)},
                 {"expensive", true}});
  return out;
}

}  // namespace cbuild::cli
