// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/diagnostic.h"
#include "frontend/syntax/include_map.h"

/// The Dockerfile as written: nothing is expanded, nothing is resolved, every node knows its place. Words are raw
/// texts; lowering (lower.h) expands them.
namespace cbuild::frontend {

/// A piece of text with its place. Where a continuation joined lines the span covers all of them.
struct Text {
  std::string value;
  Span span;

  bool operator==(const Text& other) const { return value == other.value; }
};

struct Heredoc {
  Text name;             ///< without quotes
  std::string body;      ///< lines with their newlines; leading tabs already removed for <<-
  std::string raw_body;  ///< for <<- only: the body with its tabs, for a shell that reads the heredoc itself
  bool expand = true;    ///< false when any part of the word was quoted
  bool strip_tabs = false;
  unsigned fd = 0;  ///< 0 when no descriptor was given
  Span span;        ///< of the body with the terminator line

  bool operator==(const Heredoc& o) const {
    return name == o.name && body == o.body && expand == o.expand && strip_tabs == o.strip_tabs && fd == o.fd;
  }
};

/// One "--name[=value]" word. `value` has quotes removed and escapes processed, but no variables expanded.
struct Flag {
  Text name;  ///< without dashes; its span has them
  std::optional<Text> value;

  bool operator==(const Flag&) const = default;
};

struct KeyValue {
  Text key, value;  ///< raw words with their quotes
  bool operator==(const KeyValue&) const = default;
};

/// RUN, CMD, ENTRYPOINT: JSON (exec) form or shell form.
struct CommandLine {
  bool exec_form = false;
  std::vector<Text> arguments;    ///< exec form: the strings; shell form: exactly one text, the rest of the line
  std::vector<Heredoc> heredocs;  ///< RUN only
  bool heredoc_only = false;      ///< the line is one heredoc and nothing else: the body of the first one is the script

  bool operator==(const CommandLine&) const = default;
};

struct FromInstruction {
  std::optional<Text> platform;
  Text image;
  std::optional<Text> name;
  Text as_keyword;
  bool operator==(const FromInstruction&) const = default;
};
struct RunInstruction {
  std::vector<Text> mounts;  ///< raw CSV of each --mount
  std::vector<Text> devices;
  std::vector<Text> resources;  ///< raw CSV of each --resource
  std::optional<Text> network, security;
  std::optional<Text> timeout, retry;
  CommandLine command;
  bool operator==(const RunInstruction&) const = default;
};
struct CmdInstruction {
  CommandLine command;
  bool operator==(const CmdInstruction&) const = default;
};
struct EntrypointInstruction {
  CommandLine command;
  bool operator==(const EntrypointInstruction&) const = default;
};
struct ShellInstruction {
  std::vector<Text> arguments;
  bool operator==(const ShellInstruction&) const = default;
};
/// COPY and ADD. A heredoc source stands in `sources` as its "<<NAME" word is not kept; it is in `heredocs`.
struct CopyInstruction {
  bool add = false;
  std::optional<Text> from, chown, chmod, checksum;
  std::vector<Text> excludes;
  bool link = false, parents = false;
  bool keep_git_dir = false;  ///< false as well when not given; Instruction::flags tells
  std::optional<bool> unpack;
  std::vector<Text> sources;  ///< without heredocs
  std::vector<Heredoc> heredocs;
  Text destination;
  bool operator==(const CopyInstruction&) const = default;
};
struct EnvInstruction {
  std::vector<KeyValue> pairs;
  bool legacy = false;
  bool operator==(const EnvInstruction&) const = default;
};
struct LabelInstruction {
  std::vector<KeyValue> pairs;
  bool legacy = false;
  bool operator==(const LabelInstruction&) const = default;
};
struct ArgInstruction {
  struct Item {
    Text name;
    std::optional<Text> default_value;
    std::string description;
    bool operator==(const Item&) const = default;
  };
  std::vector<Item> items;
  bool operator==(const ArgInstruction&) const = default;
};
struct ExposeInstruction {
  std::vector<Text> ports;
  bool operator==(const ExposeInstruction&) const = default;
};
struct VolumeInstruction {
  std::vector<Text> paths;
  bool operator==(const VolumeInstruction&) const = default;
};
struct UserInstruction {
  Text user;
  bool operator==(const UserInstruction&) const = default;
};
struct WorkdirInstruction {
  Text path;
  bool operator==(const WorkdirInstruction&) const = default;
};
struct StopsignalInstruction {
  Text signal;
  bool operator==(const StopsignalInstruction&) const = default;
};
struct MaintainerInstruction {
  Text name;
  bool operator==(const MaintainerInstruction&) const = default;
};
struct HealthcheckInstruction {
  bool none = false;
  std::optional<Text> interval, timeout, start_period, start_interval, retries;
  CommandLine command;
  bool operator==(const HealthcheckInstruction&) const = default;
};
/// The trigger as raw text (heredocs included, as multi-line text), to be stored in the image and parsed by the child
/// build.
struct OnbuildInstruction {
  Text trigger;
  bool operator==(const OnbuildInstruction&) const = default;
};

using InstructionBody =
    std::variant<FromInstruction, RunInstruction, CmdInstruction, EntrypointInstruction, ShellInstruction,
                 CopyInstruction, EnvInstruction, LabelInstruction, ArgInstruction, ExposeInstruction,
                 VolumeInstruction, UserInstruction, WorkdirInstruction, StopsignalInstruction, MaintainerInstruction,
                 HealthcheckInstruction, OnbuildInstruction>;

struct Instruction {
  Text keyword;  ///< as written
  InstructionBody body;
  std::vector<Flag> flags;           ///< all of them, in order, as written
  std::string original;              ///< the whole logical line after joining, for step names and history
  std::vector<std::string> comment;  ///< the comment lines above, trimmed, without '#' (an indented comment keeps it)
  Span span;                         ///< keyword to the end of the last line, heredocs included
  Span bodies;                       ///< the lines of its heredocs; empty if it has none

  bool operator==(const Instruction& o) const { return keyword == o.keyword && body == o.body && comment == o.comment; }
};

/// FROM and the instructions after it. Copies of COPY/ADD are told apart by CopyInstruction::add.
struct Stage {
  Instruction from;
  std::string name;  ///< lower-cased AS name; empty if none
  std::vector<Instruction> instructions;
  std::string description;

  bool operator==(const Stage&) const = default;
};

struct Directive {
  Text name, value;
  bool operator==(const Directive&) const = default;
};

struct Dockerfile {
  std::shared_ptr<const SourceText> source;
  std::vector<std::shared_ptr<const SourceText>> sources;  ///< `source`, then the files it includes, in order
  IncludeMap includes;
  std::vector<Directive> directives;
  char escape = '\\';
  std::vector<Instruction> global_args;  ///< ARG before the first FROM
  std::vector<Stage> stages;
  std::vector<Diagnostic> warnings;  ///< found while parsing, without rule: triggers that will not work, unknown checks

  bool operator==(const Dockerfile& o) const {
    return directives == o.directives && escape == o.escape && global_args == o.global_args && stages == o.stages;
  }
};

}  // namespace cbuild::frontend
