// SPDX-License-Identifier: Apache-2.0
// The parts of a key, as lines that can be compared with those of an older key. See explain.h for the labels.
#include <algorithm>
#include <array>
#include <variant>

#include "base/text.h"
#include "solver/graph/op_fields.h"
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

/// Visitor of op_fields.h for all its functions: fields without a line of their own say nothing.
struct NoLines {
  void text(FieldName, const std::string&, std::string_view = {}) {}
  void texts(FieldName, const std::vector<std::string>&) {}
  void flag(FieldName, bool, bool = false) {}
  template <typename Number>
  void number(FieldName, Number) {}
  void mode(FieldName, std::uint32_t, std::uint32_t) {}
  void digest(FieldName, const Digest&) {}
  void time(FieldName, const std::optional<std::int64_t>&) {}
  template <typename Fields>
  void keyed_if(bool condition, const Fields& fields) {
    if (condition) fields();
  }
};

/// The fields of one mount, which share a line: "cache ID ro". The hash of a secret has a line of its own.
struct MountLine : NoLines {
  std::string line;
  std::vector<KeyPart> secrets = {};

  void text(FieldName name, const std::string& value, std::string_view = {}) {
    if (!name.line.empty()) line += cat(" ", value);
  }
  void flag(FieldName name, bool value, bool by_default = false) {
    if (!name.line.empty() && value != by_default) line += cat(" ", name.line);
  }
  template <typename Number>
  void number(FieldName name, Number value) {
    if (!name.line.empty()) line += cat(" ", value);
  }
  void place(FieldName name, int input, const std::string& source) {
    if (!name.line.empty()) line += cat(" ", name.line, " ", input < 0 ? 0 : input, " ", source);
  }
  void cache_id(const std::string& id, Sharing) { line += cat(" ", id); }
  void secret_id(const std::string& id, const std::string& value_hash) {
    line += cat(" ", id);
    add_text(cat("secret ", id), value_hash, secrets);
  }
};

/// A line for each field that has one.
struct PartFields : NoLines {
  const std::vector<std::string>& argument_names;
  std::vector<KeyPart> parts = {};
  std::string subject = {};  ///< " PATH" of the action whose fields are visited

  explicit PartFields(const ExecSettings& settings) : argument_names(settings.argument_names) {}

  /// Options without a value have no line.
  void add(FieldName name, const std::string& value) {
    if (!name.line.empty()) add_text(cat(name.line, subject), value, parts);
  }
  void text(FieldName name, const std::string& value, std::string_view = {}) { add(name, value); }
  void texts(FieldName name, const std::vector<std::string>& values) { add(name, join(values, name.separator)); }
  void flag(FieldName name, bool value, bool = false) { add(name, value ? name.json : ""); }
  void network(NetworkMode mode) { add({"network", "network"}, mode == NetworkMode::none ? "none" : ""); }

  void pinned_image(const Digest&, const std::string&) {}
  void command(const std::vector<std::string>& argv) { parts.push_back(text_part("command", join(argv, " "))); }
  void variables(const std::vector<std::string>& environment);
  void mounts(const std::vector<ExecMount>& mounts);
  void file(const std::string& path, const std::string& content) {
    subject = cat(" ", path);
    parts.push_back({cat("inline", subject), sha256(content).str()});
  }
  void files(const std::vector<InlineFile>& files) {
    for (const InlineFile& file : files) visit_fields(file, *this);
    subject.clear();
  }
  void copied(int, const std::vector<std::string>& sources, const std::string& destination, bool) {
    subject = cat(" ", destination);
    parts.push_back(text_part("copy", cat(join(sources, " "), " to ", destination)));
  }
  void actions(const std::vector<FileAction>& actions) {
    for (const FileAction& action : actions) {
      subject.clear();
      std::visit([this](const auto& what) { visit_fields(what, *this); }, action);
    }
  }
};

/// Of several options of a command that changed, the one to tell first: its mounts, then its user, then the others.
int told_at(std::string_view label) {
  static constexpr std::array<std::string_view, 4> kBefore = {"command", "inline", "argument", "variable"};
  static constexpr std::array<std::string_view, 3> kFirst = {"mount", "secret", "user"};
  const std::string_view word = label.substr(0, label.find(' '));
  if (std::find(kBefore.begin(), kBefore.end(), word) != kBefore.end()) return -1;
  return static_cast<int>(std::find(kFirst.begin(), kFirst.end(), word) - kFirst.begin());
}

void PartFields::variables(const std::vector<std::string>& environment) {
  for (const std::string& variable : environment) {
    const std::size_t end = variable.find('=');
    const std::string name = variable.substr(0, end);
    const bool argument = std::find(argument_names.begin(), argument_names.end(), name) != argument_names.end();
    const std::string value = end == std::string::npos ? "" : variable.substr(end + 1);
    parts.push_back({cat(argument ? "argument " : "variable ", name), sha256(value).str()});
  }
}

void PartFields::mounts(const std::vector<ExecMount>& mounts) {
  std::vector<KeyPart> secrets;
  for (const ExecMount& mount : mounts) {
    MountLine line;
    line.line = kMountTypes[mount.what.index()];
    std::visit([&](const auto& what) { visit_fields(what, line); }, mount.what);
    parts.push_back(text_part(cat("mount ", mount.target), line.line));
    for (KeyPart& secret : line.secrets) secrets.push_back(std::move(secret));
  }
  for (KeyPart& secret : secrets) parts.push_back(std::move(secret));
}

/// "docker.io/library/x:tag" of a locator.
std::string image_name(const ImageSource& image) {
  std::string name = image.locator;
  if (const std::size_t scheme = name.find("://"); scheme != std::string::npos) name.erase(0, scheme + 3);
  return name.substr(0, name.find('@'));
}

}  // namespace

std::vector<KeyPart> op_parts(const Vertex& vertex) {
  PartFields fields(vertex.settings);
  std::visit([&](const auto& own) { visit_fields(own, fields); }, vertex.op);
  std::vector<KeyPart> parts = std::move(fields.parts);
  if (std::holds_alternative<ExecOp>(vertex.op))
    std::stable_sort(parts.begin(), parts.end(),
                     [](const KeyPart& a, const KeyPart& b) { return told_at(a.label) < told_at(b.label); });
  parts.push_back({"op", sha256(canonical(vertex.op)).str()});
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
