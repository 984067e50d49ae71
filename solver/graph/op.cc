// SPDX-License-Identifier: Apache-2.0
// Canonical bytes of ops, the heart of every key: one visitor over the lists of fields in op_fields.h. Where the
// content that an op reads enters the key anyway, its place is left out, so that a moved file does not change the key;
// only its rank among the paths of the selector remains, so that two sources of one input cannot change places unseen.
#include "solver/graph/op.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/digest.h"
#include "base/pattern/path_pattern.h"
#include "base/text.h"
#include "solver/graph/key_format.h"
#include "solver/graph/op_fields.h"
#include "solver/graph/op_paths.h"

namespace cbuild::solver {

namespace {

constexpr std::uint8_t kPlaceByName = 0, kPlaceByRank = 1;

void write(CanonicalWriter& writer, const std::vector<std::string>& texts) {
  writer.number(texts.size());
  for (const std::string& text : texts) writer.text(text);
}

void write(CanonicalWriter& writer, const std::optional<std::int64_t>& time) {
  writer.tag(time.has_value()).number(static_cast<std::uint64_t>(time.value_or(0)));
}

std::uint64_t input_number(int input) { return static_cast<std::uint64_t>(static_cast<std::int64_t>(input)); }

/// Writes where a path stands among the paths of its input's selector.
class RankWriter {
 public:
  RankWriter(CanonicalWriter& writer, const Op& op) : writer_(writer), op_(op) {}

  void write(int input, const std::string& path) {
    auto found = selectors_.find(input);
    if (found == selectors_.end())
      found = selectors_.emplace(input, selector(op_, static_cast<std::size_t>(input))).first;
    const std::vector<std::string>& paths = found->second.paths;
    if (paths.empty() && path != ".") {  // the input is read whole
      writer_.tag(kPlaceByName).text(path);
      return;
    }
    const auto at = std::lower_bound(paths.begin(), paths.end(), path);
    writer_.tag(kPlaceByRank).number(static_cast<std::uint64_t>(at - paths.begin()));
  }

 private:
  CanonicalWriter& writer_;
  const Op& op_;
  std::map<int, Selector> selectors_;
};

/// Visitor of op_fields.h.
class CanonicalFields {
 public:
  CanonicalFields(CanonicalWriter& writer, const Op& op) : writer_(writer), ranks_(writer, op) {}

  void text(FieldName, const std::string& value, std::string_view = {}) { writer_.text(value); }
  void texts(FieldName, const std::vector<std::string>& values) { write(writer_, values); }
  void flag(FieldName, bool value, bool = false) { writer_.tag(value); }
  template <typename Number>
  void number(FieldName, Number value) {
    writer_.number(static_cast<std::uint64_t>(value));
  }
  void mode(FieldName, std::uint32_t value, std::uint32_t) { writer_.number(value); }
  void digest(FieldName, const Digest& value) { writer_.digest(value); }
  void time(FieldName, const std::optional<std::int64_t>& value) { write(writer_, value); }
  template <typename Fields>
  void keyed_if(bool condition, const Fields& fields) {
    if (condition) fields();
  }

  void pinned_image(const Digest& manifest, const std::string& platform) { writer_.text(platform).digest(manifest); }
  void command(const std::vector<std::string>& argv) { write(writer_, argv); }
  void variables(const std::vector<std::string>& environment) { write(writer_, environment); }
  void network(NetworkMode mode) { writer_.tag(static_cast<std::uint8_t>(mode)); }
  void file(const std::string& path, const std::string& content) { writer_.text(path).text(content); }

  void mounts(const std::vector<ExecMount>& mounts) {
    writer_.number(mounts.size());
    for (const ExecMount& mount : mounts) {
      target_ = mount.target;
      writer_.text(target_).tag(static_cast<std::uint8_t>(mount.what.index()));
      std::visit([this](const auto& what) { visit_fields(what, *this); }, mount.what);
    }
  }
  void files(const std::vector<InlineFile>& files) {
    writer_.number(files.size());
    for (const InlineFile& file : files) visit_fields(file, *this);
  }
  void actions(const std::vector<FileAction>& actions) {
    writer_.number(actions.size());
    for (const FileAction& action : actions) {
      writer_.tag(static_cast<std::uint8_t>(action.index()));
      std::visit([this](const auto& what) { visit_fields(what, *this); }, action);
    }
  }

  void place(FieldName, int input, const std::string& source);
  void cache_id(const std::string& id, Sharing sharing);
  void secret_id(const std::string& id, const std::string& value_hash);
  void copied(int input, const std::vector<std::string>& sources, const std::string& destination, bool parents);

 private:
  CanonicalWriter& writer_;
  RankWriter ranks_;
  std::string target_;  ///< of the mount whose fields are written
};

/// An input that is read whole has no place in its selector, so the place stands here.
void CanonicalFields::place(FieldName, int input, const std::string& source) {
  writer_.number(input_number(input));
  const std::string path = mount_path(source);
  if (input > 0) {
    ranks_.write(input, path);
  } else {
    writer_.tag(kPlaceByName).text(path);
  }
}

/// The id counts only where it is the default one, as in BuildKit: a step does not run again because its cache
/// directory is now called differently.
void CanonicalFields::cache_id(const std::string& id, Sharing sharing) {
  const std::size_t slash = id.find('/');
  const bool in_namespace = slash != std::string::npos && id.substr(slash + 1) == target_;
  const bool by_default = sharing == Sharing::shared && (id == target_ || in_namespace);
  writer_.text(by_default ? id : "");
}

/// An id holds no zero byte, so a hashed value cannot be taken for an id.
void CanonicalFields::secret_id(const std::string& id, const std::string& value_hash) {
  writer_.text(cat(id, value_hash.empty() ? std::string() : cat('\0', value_hash)));
}

/// A plain source counts by its last name, the only part that arrives. Wildcards and --parents may let more of the path
/// arrive.
void CanonicalFields::copied(int input, const std::vector<std::string>& sources, const std::string& destination,
                             bool parents) {
  writer_.number(input_number(input)).number(sources.size());
  for (const std::string& source : sources) {
    const std::string path = copy_path(source, parents);
    if (input <= 0 || parents || has_glob(path)) {
      writer_.tag(kPlaceByName).text(path);
    } else {
      ranks_.write(input, path);
      writer_.text(base_name(path));
    }
  }
  writer_.text(destination);
}

}  // namespace

std::string canonical(const Op& op) {
  CanonicalWriter writer;
  writer.text("cbuild.op").number(kKeyFormat).tag(static_cast<std::uint8_t>(op.index()));
  CanonicalFields fields(writer, op);
  std::visit([&](const auto& own) { visit_fields(own, fields); }, op);
  return writer.bytes();
}

bool did_well(const ExecOp& op, int exit_code) {
  if (op.exit_codes.empty()) return exit_code == 0;
  return std::find(op.exit_codes.begin(), op.exit_codes.end(), exit_code) != op.exit_codes.end();
}

bool is_source(const Op& op) {
  return std::holds_alternative<ImageSource>(op) || std::holds_alternative<LocalSource>(op) ||
         std::holds_alternative<GitSource>(op) || std::holds_alternative<HttpSource>(op);
}

}  // namespace cbuild::solver
