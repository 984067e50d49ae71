// SPDX-License-Identifier: Apache-2.0
// The CSV of --mount and --device. Keys are a table of handlers. The type may come after keys that depend on it, so
// most checks are made when all keys have been read; the few that BuildKit makes at the key itself are made there.
// Messages are BuildKit's, with suggestions added.
#include "frontend/syntax/mount_spec.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "frontend/text/grammar.h"

namespace cbuild::frontend {
namespace {

using Type = MountSpec::Type;

constexpr std::array<std::string_view, 5> kTypes = {"bind", "cache", "tmpfs", "secret", "ssh"};
constexpr std::array<std::string_view, 3> kSharing = {"shared", "private", "locked"};

[[noreturn]] void fail_mount(std::string message) { throw Error(ErrorCode::input, std::move(message)); }

template <typename Names>
[[noreturn]] void fail_with_suggestion(std::string message, std::string_view word, const Names& names) {
  const std::vector<std::string> candidates(std::begin(names), std::end(names));
  const auto near = suggest(word, candidates);
  throw Error(ErrorCode::input, std::move(message))
      .with_hint(near ? cat("did you mean ", *near, "?") : cat("one of ", join(candidates, ", ")));
}

/// A field "key=value", or "key" alone.
struct Field {
  std::string text, key;
  std::optional<std::string> value;
};

std::vector<Field> split_fields(std::string_view csv, std::string_view what) {
  std::vector<Field> fields;
  try {
    for (std::string& text : parse_csv(csv)) {
      const std::size_t equals = text.find('=');
      Field field{std::move(text), {}, {}};
      field.key = to_lower(std::string_view(field.text).substr(0, equals));
      if (equals != std::string::npos) field.value = field.text.substr(equals + 1);
      fields.push_back(std::move(field));
    }
  } catch (const Error& error) {
    fail_mount(cat("failed to parse csv ", what, ": ", error.message()));
  }
  return fields;
}

void reject_variable_in_from(const Field& field) {
  const std::size_t dollar = field.value->find('$');
  if (dollar == std::string::npos || dollar + 1 == field.value->size()) return;
  fail_mount(cat("'", field.key, "' doesn't support variable expansion, define alias stage instead"));
}

/// The words Go's strconv.ParseBool knows.
bool mount_flag(const std::string& key, const std::string& value) {
  for (const char* yes : {"1", "t", "T", "true", "TRUE", "True"}) {
    if (value == yes) return true;
  }
  for (const char* no : {"0", "f", "F", "false", "FALSE", "False"}) {
    if (value == no) return false;
  }
  fail_mount(cat("invalid value for ", key, ": ", value));
}

std::uint32_t parse_number(std::string_view key, const std::string& value, int base) {
  std::uint32_t number = 0;
  const char* const end = value.data() + value.size();
  const auto result = std::from_chars(value.data(), end, number, base);
  if (result.ec != std::errc() || result.ptr != end) fail_mount(cat("invalid value ", value, " for ", key));
  return number;
}

class MountParser {
 public:
  void add(const Field& field, const std::string& value);
  void add_without_value(const Field& field);
  MountSpec finish();

 private:
  using Handler = void (MountParser::*)(const Field&, const std::string&);
  struct Key {
    std::string_view name;
    Handler handle;
  };
  static const std::array<Key, 19> kKeys;

  std::string_view type_name() const { return kTypes[static_cast<std::size_t>(spec_.type)]; }
  void require(const Field& field, bool allowed) const {
    if (!allowed) fail_mount(cat("unexpected key '", field.key, "' for mount type '", type_name(), "'"));
  }
  bool can_be_required() const { return spec_.type == Type::secret || spec_.type == Type::ssh; }

  void set_type(const Field&, const std::string& value);
  void set_from(const Field&, const std::string& value) { spec_.from = value; }
  void set_source(const Field&, const std::string& value) { spec_.source = value; }
  void set_target(const Field&, const std::string& value) { spec_.target = value; }
  void set_id(const Field&, const std::string& value) { spec_.id = value; }
  void set_env(const Field&, const std::string& value) { spec_.env_name = value; }
  void set_mode(const Field& field, const std::string& value) { spec_.mode = parse_number(field.key, value, 8); }
  void set_uid(const Field& field, const std::string& value) { spec_.uid = parse_number(field.key, value, 10); }
  void set_gid(const Field& field, const std::string& value) { spec_.gid = parse_number(field.key, value, 10); }
  void set_read_only(const Field& field, const std::string& value) { read_only_ = mount_flag(field.key, value); }
  void set_read_write(const Field& field, const std::string& value) { read_only_ = !mount_flag(field.key, value); }
  void set_required(const Field& field, const std::string& value);
  void set_size(const Field& field, const std::string& value);
  void set_sharing(const Field&, const std::string& value);
  void check_secret() const;

  MountSpec spec_;
  std::optional<bool> read_only_;
  std::optional<MountSpec::Sharing> sharing_;
};

constexpr std::array<MountParser::Key, 19> MountParser::kKeys = {{
    {"type", &MountParser::set_type},
    {"from", &MountParser::set_from},
    {"source", &MountParser::set_source},
    {"src", &MountParser::set_source},
    {"target", &MountParser::set_target},
    {"dst", &MountParser::set_target},
    {"destination", &MountParser::set_target},
    {"readonly", &MountParser::set_read_only},
    {"ro", &MountParser::set_read_only},
    {"readwrite", &MountParser::set_read_write},
    {"rw", &MountParser::set_read_write},
    {"id", &MountParser::set_id},
    {"sharing", &MountParser::set_sharing},
    {"required", &MountParser::set_required},
    {"size", &MountParser::set_size},
    {"mode", &MountParser::set_mode},
    {"uid", &MountParser::set_uid},
    {"gid", &MountParser::set_gid},
    {"env", &MountParser::set_env},
}};

void MountParser::set_type(const Field&, const std::string& value) {
  const auto found = std::find(kTypes.begin(), kTypes.end(), to_lower(value));
  if (found == kTypes.end()) {
    fail_with_suggestion(cat("unsupported mount type ", go_quote(value)), value, kTypes);
  }
  spec_.type = static_cast<Type>(found - kTypes.begin());
}

void MountParser::set_required(const Field& field, const std::string& value) {
  require(field, can_be_required());
  spec_.required = mount_flag(field.key, value);
}

void MountParser::set_size(const Field& field, const std::string& value) {
  require(field, spec_.type == Type::tmpfs);
  const auto size = parse_size(value);
  if (!size) fail_mount(cat("invalid value for ", field.key, ": ", value));
  spec_.size_bytes = *size;
}

void MountParser::set_sharing(const Field&, const std::string& value) {
  const auto found = std::find(kSharing.begin(), kSharing.end(), to_lower(value));
  if (found == kSharing.end()) {
    fail_with_suggestion(cat("unsupported sharing value ", go_quote(value)), value, kSharing);
  }
  sharing_ = static_cast<MountSpec::Sharing>(found - kSharing.begin());
}

void MountParser::add(const Field& field, const std::string& value) {
  for (const Key& key : kKeys) {
    if (key.name == field.key) return (this->*key.handle)(field, value);
  }
  std::vector<std::string_view> names;
  for (const Key& key : kKeys) names.push_back(key.name);
  fail_with_suggestion(cat("unexpected key '", field.key, "' in '", field.text, "'"), field.key, names);
}

void MountParser::add_without_value(const Field& field) {
  if (field.key == "readonly" || field.key == "ro") {
    read_only_ = true;
  } else if (field.key == "readwrite" || field.key == "rw") {
    read_only_ = false;
  } else if (field.key == "required") {
    require(field, can_be_required());
    spec_.required = true;
  } else {
    fail_mount(cat("invalid field '", field.text, "' must be a key=value pair"));
  }
}

void MountParser::check_secret() const {
  if (!spec_.from.empty()) fail_mount("secret mount should not have a from");
  if (sharing_) fail_mount("secret mount should not define sharing");
  if (spec_.source.empty() && spec_.target.empty() && spec_.id.empty()) {
    fail_mount("invalid secret mount. one of source, target required");
  }
  if (!spec_.source.empty() && !spec_.id.empty()) fail_mount("both source and id can't be set");
}

MountSpec MountParser::finish() {
  const bool has_owner = can_be_required() || spec_.type == Type::cache;
  const auto reject_if = [&](bool given, std::string_view key) {
    if (given && !has_owner) fail_mount(cat(key, " not allowed for ", go_quote(type_name()), " type mounts"));
  };
  reject_if(spec_.mode.has_value(), "mode");
  reject_if(spec_.uid.has_value(), "uid");
  reject_if(spec_.gid.has_value(), "gid");
  if (spec_.type == Type::secret) check_secret();
  if (sharing_ && spec_.type != Type::cache) fail_mount(cat("invalid cache sharing set for ", type_name(), " mount"));
  spec_.sharing = sharing_.value_or(MountSpec::Sharing::shared);
  spec_.read_only = read_only_.value_or(spec_.type != Type::cache && spec_.type != Type::tmpfs);
  return std::move(spec_);
}

}  // namespace

MountSpec parse_mount(std::string_view csv, const std::function<std::string(std::string_view)>& expand) {
  MountParser parser;
  for (const Field& field : split_fields(csv, "mounts")) {
    if (!field.value) {
      parser.add_without_value(field);
      continue;
    }
    if (field.key == "from") {
      reject_variable_in_from(field);
      parser.add(field, *field.value);
    } else {
      parser.add(field, expand(*field.value));
    }
  }
  return parser.finish();
}

void check_mount(std::string_view csv) {
  for (const Field& field : split_fields(csv, "mounts")) {
    if (field.key == "from" && field.value) reject_variable_in_from(field);
  }
}

DeviceSpec parse_device(std::string_view csv) {
  DeviceSpec device;
  for (const Field& field : split_fields(csv, "devices")) {
    if (field.key == "required") {
      device.required = !field.value || mount_flag(field.key, *field.value);
    } else if (field.key == "name" && field.value) {
      if (!device.name.empty()) fail_mount(cat("device name already set to ", device.name));
      device.name = *field.value;
    } else if (device.name.empty()) {
      device.name = field.text;
    } else if (!field.value) {
      fail_mount(cat("invalid field '", field.text, "' must be a key=value pair"));
    } else {
      fail_with_suggestion(cat("unexpected key '", field.key, "' in '", field.text, "'"), field.key,
                           std::array<std::string_view, 2>{"name", "required"});
    }
  }
  return device;
}

}  // namespace cbuild::frontend
