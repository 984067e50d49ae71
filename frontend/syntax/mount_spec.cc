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

/// The fields of a mount as far as they are read.
struct MountFields {
  MountSpec spec;
  std::optional<bool> read_only;
  std::optional<MountSpec::Sharing> sharing;

  std::string_view type_name() const { return kTypes[static_cast<std::size_t>(spec.type)]; }
  bool can_be_required() const { return spec.type == Type::secret || spec.type == Type::ssh; }
};

void require(const MountFields& fields, const Field& field, bool allowed) {
  if (!allowed) fail_mount(cat("unexpected key '", field.key, "' for mount type '", fields.type_name(), "'"));
}

void set_type(MountFields& fields, const Field&, const std::string& value) {
  const auto found = std::find(kTypes.begin(), kTypes.end(), to_lower(value));
  if (found == kTypes.end()) {
    fail_with_suggestion(cat("unsupported mount type ", go_quote(value)), value, kTypes);
  }
  fields.spec.type = static_cast<Type>(found - kTypes.begin());
}

void set_required(MountFields& fields, const Field& field, const std::string& value) {
  require(fields, field, fields.can_be_required());
  fields.spec.required = mount_flag(field.key, value);
}

void set_size(MountFields& fields, const Field& field, const std::string& value) {
  require(fields, field, fields.spec.type == Type::tmpfs);
  const auto size = parse_size(value);
  if (!size) fail_mount(cat("invalid value for ", field.key, ": ", value));
  fields.spec.size_bytes = *size;
}

void set_sharing(MountFields& fields, const Field&, const std::string& value) {
  const auto found = std::find(kSharing.begin(), kSharing.end(), to_lower(value));
  if (found == kSharing.end()) {
    fail_with_suggestion(cat("unsupported sharing value ", go_quote(value)), value, kSharing);
  }
  fields.sharing = static_cast<MountSpec::Sharing>(found - kSharing.begin());
}

void set_read_only(MountFields& fields, const Field& field, const std::string& value) {
  fields.read_only = mount_flag(field.key, value);
}

void set_read_write(MountFields& fields, const Field& field, const std::string& value) {
  fields.read_only = !mount_flag(field.key, value);
}

template <std::string MountSpec::*member>
void set_text(MountFields& fields, const Field&, const std::string& value) {
  fields.spec.*member = value;
}

template <std::optional<std::uint32_t> MountSpec::*member, int base>
void set_number(MountFields& fields, const Field& field, const std::string& value) {
  fields.spec.*member = parse_number(field.key, value, base);
}

struct MountKey {
  std::string_view name;
  void (*set)(MountFields&, const Field&, const std::string&);
};

constexpr std::array<MountKey, 19> kMountKeys = {{
    {"type", &set_type},
    {"from", &set_text<&MountSpec::from>},
    {"source", &set_text<&MountSpec::source>},
    {"src", &set_text<&MountSpec::source>},
    {"target", &set_text<&MountSpec::target>},
    {"dst", &set_text<&MountSpec::target>},
    {"destination", &set_text<&MountSpec::target>},
    {"readonly", &set_read_only},
    {"ro", &set_read_only},
    {"readwrite", &set_read_write},
    {"rw", &set_read_write},
    {"id", &set_text<&MountSpec::id>},
    {"sharing", &set_sharing},
    {"required", &set_required},
    {"size", &set_size},
    {"mode", &set_number<&MountSpec::mode, 8>},
    {"uid", &set_number<&MountSpec::uid, 10>},
    {"gid", &set_number<&MountSpec::gid, 10>},
    {"env", &set_text<&MountSpec::env_name>},
}};

void add_field(MountFields& fields, const Field& field, const std::string& value) {
  for (const MountKey& key : kMountKeys)
    if (key.name == field.key) return key.set(fields, field, value);
  std::vector<std::string_view> names;
  for (const MountKey& key : kMountKeys) names.push_back(key.name);
  fail_with_suggestion(cat("unexpected key '", field.key, "' in '", field.text, "'"), field.key, names);
}

void add_without_value(MountFields& fields, const Field& field) {
  if (field.key == "readonly" || field.key == "ro") {
    fields.read_only = true;
  } else if (field.key == "readwrite" || field.key == "rw") {
    fields.read_only = false;
  } else if (field.key == "required") {
    require(fields, field, fields.can_be_required());
    fields.spec.required = true;
  } else {
    fail_mount(cat("invalid field '", field.text, "' must be a key=value pair"));
  }
}

void check_secret(const MountFields& fields) {
  if (!fields.spec.from.empty()) fail_mount("secret mount should not have a from");
  if (fields.sharing) fail_mount("secret mount should not define sharing");
  if (fields.spec.source.empty() && fields.spec.target.empty() && fields.spec.id.empty()) {
    fail_mount("invalid secret mount. one of source, target required");
  }
  if (!fields.spec.source.empty() && !fields.spec.id.empty()) fail_mount("both source and id can't be set");
}

MountSpec finish_mount(MountFields fields) {
  const bool has_owner = fields.can_be_required() || fields.spec.type == Type::cache;
  const auto reject_if = [&](bool given, std::string_view key) {
    if (given && !has_owner) fail_mount(cat(key, " not allowed for ", go_quote(fields.type_name()), " type mounts"));
  };
  reject_if(fields.spec.mode.has_value(), "mode");
  reject_if(fields.spec.uid.has_value(), "uid");
  reject_if(fields.spec.gid.has_value(), "gid");
  if (fields.spec.type == Type::secret) check_secret(fields);
  if (fields.sharing && fields.spec.type != Type::cache)
    fail_mount(cat("invalid cache sharing set for ", fields.type_name(), " mount"));
  fields.spec.sharing = fields.sharing.value_or(MountSpec::Sharing::shared);
  fields.spec.read_only = fields.read_only.value_or(fields.spec.type != Type::cache && fields.spec.type != Type::tmpfs);
  return std::move(fields.spec);
}

}  // namespace

MountSpec parse_mount(std::string_view csv, const std::function<std::string(std::string_view)>& expand) {
  MountFields fields;
  for (const Field& field : split_fields(csv, "mounts")) {
    if (!field.value) {
      add_without_value(fields, field);
      continue;
    }
    if (field.key == "from") {
      reject_variable_in_from(field);
      add_field(fields, field, *field.value);
    } else {
      add_field(fields, field, expand(*field.value));
    }
  }
  return finish_mount(std::move(fields));
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
