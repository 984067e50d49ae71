// SPDX-License-Identifier: Apache-2.0
// What a key is made of, as lines that can be compared with those of an older key. See explain.h for the labels.
#include <algorithm>
#include <variant>

#include "base/text.h"
#include "solver/graph/step_identity.h"
#include "solver/keys.h"

namespace cbuild::solver {

namespace {

/// Argument lists and scripts in full would bloat every record; a digest tells as well that they changed.
KeyPart text_part(std::string label, std::string text) {
  constexpr std::size_t kShort = 200;
  if (text.size() > kShort) text = sha256(text).str();
  return {std::move(label), std::move(text)};
}

/// Options that are at their defaults have no line.
void add_text(std::string label, std::string text, std::vector<KeyPart>& parts) {
  if (!text.empty()) parts.push_back(text_part(std::move(label), std::move(text)));
}

struct MountText {
  std::string operator()(const BindMount& m) const {
    return cat("bind from input ", m.input < 0 ? 0 : m.input, " ", m.source, m.read_only ? "" : " rw");
  }
  std::string operator()(const CacheMount& m) const { return cat("cache ", m.id, m.read_only ? " ro" : ""); }
  std::string operator()(const TmpfsMount& m) const { return cat("tmpfs ", m.size_bytes); }
  std::string operator()(const SecretMount& m) const { return cat("secret ", m.id, m.required ? " required" : ""); }
  std::string operator()(const SshMount& m) const { return cat("ssh ", m.id, m.required ? " required" : ""); }
};

void add_exec_parts(const ExecOp& exec, std::vector<KeyPart>& parts) {
  parts.push_back(text_part("command", join(exec.argv, " ")));
  for (const InlineFile& file : exec.files) parts.push_back({cat("inline ", file.path), sha256(file.content).str()});
  for (const std::string& variable : exec.environment) {
    const std::size_t end = variable.find('=');
    const std::string name = variable.substr(0, end);
    const bool argument = std::find(exec.arguments.begin(), exec.arguments.end(), name) != exec.arguments.end();
    const std::string value = end == std::string::npos ? "" : variable.substr(end + 1);
    parts.push_back({cat(argument ? "argument " : "variable ", name), sha256(value).str()});
  }
  for (const ExecMount& mount : exec.mounts)
    parts.push_back(text_part(cat("mount ", mount.target), std::visit(MountText{}, mount.what)));
  for (const ExecMount& mount : exec.mounts)
    if (const auto* secret = std::get_if<SecretMount>(&mount.what))
      add_text(cat("secret ", secret->id), secret->value_hash, parts);
  add_text("user", exec.user, parts);
  add_text("workdir", exec.working_dir, parts);
  add_text("platform", exec.platform, parts);
  add_text("network", exec.network == NetworkMode::none ? "none" : "", parts);
  add_text("security", exec.insecure ? "insecure" : "", parts);
  add_text("devices", join(exec.devices, ","), parts);
  add_text("hostname", exec.hostname, parts);
}

void add_file_parts(const FileOp& file, std::vector<KeyPart>& parts) {
  for (const FileAction& action : file.actions) {
    if (const auto* copy = std::get_if<CopyAction>(&action)) {
      parts.push_back(text_part("copy", cat(join(copy->sources, " "), " to ", copy->destination)));
      add_text(cat("chown ", copy->destination), copy->chown, parts);
      add_text(cat("chmod ", copy->destination), copy->chmod, parts);
      add_text(cat("excludes ", copy->destination), join(copy->excludes, " "), parts);
    } else if (const auto* made = std::get_if<MakeFileAction>(&action)) {
      parts.push_back({cat("inline ", made->path), sha256(made->content).str()});
      add_text(cat("chown ", made->path), made->chown, parts);
      add_text(cat("chmod ", made->path), made->chmod, parts);
    } else if (const auto* directory = std::get_if<MakeDirAction>(&action)) {
      parts.push_back(text_part("directory", directory->path));
    }
  }
}

/// "docker.io/library/x:tag" of a locator.
std::string image_name(const ImageSource& image) {
  std::string name = image.locator;
  if (const std::size_t scheme = name.find("://"); scheme != std::string::npos) name.erase(0, scheme + 3);
  return name.substr(0, name.find('@'));
}

}  // namespace

std::vector<KeyPart> op_parts(const Op& op) {
  std::vector<KeyPart> parts;
  if (const auto* exec = std::get_if<ExecOp>(&op)) add_exec_parts(*exec, parts);
  if (const auto* file = std::get_if<FileOp>(&op)) add_file_parts(*file, parts);
  parts.push_back({"op", sha256(canonical(op)).str()});
  return parts;
}

KeyPart input_part(const Vertex& input, std::size_t index, const Digest& identity) {
  if (const auto* image = std::get_if<ImageSource>(&input.op))
    return {cat("base ", index), cat(identity.str(), " name=", image_name(*image), " ", image->manifest.str())};
  return {cat("step ", index), cat(identity.str(), " ", written_name(input))};
}

std::string origin_name(const Vertex& input) {
  if (const auto* local = std::get_if<LocalSource>(&input.op))
    return local->name == "context" ? "" : cat("context ", local->name);
  if (const auto* image = std::get_if<ImageSource>(&input.op)) return cat("image ", image_name(*image));
  return input.stage.empty() ? std::string(without_position(input.name)) : cat("stage ", input.stage);
}

std::string shown_origin(const Vertex& input) {
  // A remote context is fetched by a step of its own, which has this name whatever it is called.
  const std::string name = input.name.starts_with("[internal] load ") ? std::string() : origin_name(input);
  return name.empty() ? std::string(kBuildContext) : name;
}

}  // namespace cbuild::solver
