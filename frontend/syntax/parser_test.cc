// SPDX-License-Identifier: Apache-2.0
// Cases that golden files cannot show well: places, limits, triggers, and errors one by one. Trees are in
// parser_golden_test.cc.
#include "frontend/syntax/parser.h"

#include <doctest/doctest.h>

#include "base/text.h"

namespace cbuild::frontend {
namespace {

using Strings = std::vector<std::string>;

Dockerfile parse(std::string text) {
  return parse_dockerfile(std::make_shared<const SourceText>("Dockerfile", std::move(text)));
}

std::vector<Diagnostic> errors_of(std::string text) {
  try {
    parse(std::move(text));
  } catch (const DiagnosticError& error) {
    return error.diagnostics();
  }
  return {};
}

Strings messages(std::string text) {
  Strings out;
  for (const Diagnostic& error : errors_of(std::move(text))) out.push_back(error.message);
  return out;
}

/// The messages for one line in a stage.
Strings line_messages(const std::string& line) { return messages("FROM x\n" + line + "\n"); }

std::string marked(const Span& span) {
  return span.source ? span.source->text().substr(span.begin, span.end - span.begin) : "nowhere";
}

template <typename Body>
Body only(const std::string& line) {
  const Dockerfile file = parse("FROM x\n" + line + "\n");
  REQUIRE(file.stages.size() == 1);
  REQUIRE(file.stages[0].instructions.size() == 1);
  return std::get<Body>(file.stages[0].instructions[0].body);
}

TEST_CASE("files without a stage") {
  CHECK(messages("") == Strings{"the Dockerfile cannot be empty"});
  CHECK(messages("\n# only\n") == Strings{"file with no instructions"});
  CHECK(messages("\xEF\xBB\xBF") == Strings{"file with no instructions"});
  CHECK(messages("ARG a=1\n") == Strings{"dockerfile contains no stages to build"});
  CHECK(messages("RUN a\nRUN b\n") == Strings{"no build stage in current context"});
  CHECK(messages("ARG a\nENV b=c\n") == Strings{"no build stage in current context"});
}

TEST_CASE("argument counts") {
  for (const std::string keyword : {"USER", "WORKDIR", "STOPSIGNAL", "MAINTAINER"}) {
    CHECK(line_messages(keyword) == Strings{keyword + " requires exactly one argument"});
  }
  for (const std::string keyword : {"ENV", "LABEL", "ARG", "EXPOSE", "VOLUME", "ONBUILD", "HEALTHCHECK", "SHELL"}) {
    CHECK(line_messages(keyword) == Strings{keyword + " requires at least one argument"});
  }
  for (const std::string keyword : {"COPY", "ADD", "COPY a", "ADD [\"a\"]"}) {
    CHECK(line_messages(keyword) ==
          Strings{keyword.substr(0, keyword.find(' ')) + " requires at least two arguments, but only one was provided. "
                                                         "Destination could not be determined"});
  }
  CHECK(line_messages("SHELL []") == Strings{"SHELL requires at least one argument"});
  CHECK(line_messages("VOLUME []") == Strings{"VOLUME requires at least one argument"});
  for (const char* from : {"FROM", "FROM a b", "FROM a b c", "FROM a AS", "FROM a AS b c"}) {
    CHECK(messages(from) == Strings{"FROM requires either one or three arguments"});
  }
}

TEST_CASE("instructions that need no arguments") {
  CHECK(only<RunInstruction>("RUN").command.arguments.front().value.empty());
  CHECK_FALSE(only<CmdInstruction>("CMD").command.exec_form);
  CHECK(only<EntrypointInstruction>("ENTRYPOINT []").command.exec_form);
  CHECK(only<EntrypointInstruction>("ENTRYPOINT []").command.arguments.empty());
}

TEST_CASE("unknown instructions get suggestions in their own case") {
  CHECK(errors_of("FROM x\nRNU a\n")[0].message == "unknown instruction: RNU");
  CHECK(errors_of("FROM x\nRNU a\n")[0].hint == "did you mean RUN?");
  CHECK(errors_of("FROM x\ncoppy a b\n")[0].hint == "did you mean copy?");
  CHECK(errors_of("FROM x\nXYZZYXYZZY\n")[0].hint.empty());
  CHECK(messages("FRMO x\nRUN y\n") == Strings{"unknown instruction: FRMO"});
}

TEST_CASE("errors point at the mistake") {
  const auto place = [](std::string text) { return marked(errors_of(std::move(text)).at(0).span); };
  CHECK(place("FROM x\n  RNU a\n") == "RNU");
  CHECK(place("FROM x\nCOPY --frm=y a b\n") == "--frm");
  CHECK(place("FROM x\nCOPY --link=maybe a b\n") == "maybe");
  CHECK(place("FROM x\nENV a=1 b c=2\n") == "b");
  CHECK(place("FROM x AS 1st\n") == "1st");
  CHECK(place("FROM x\nRUN --mount=from=$x y\n") == "from=$x");
  CHECK(place("FROM x\nCMD [1]\n") == "[1]");
  CHECK(place("FROM x\nCOPY a \\\n  <<EOF\nEOF\n") == "<<EOF");
  CHECK(place("FROM x\nHEALTHCHECK \\\n  FOO bar\n") == "FOO");
  CHECK(place("FROM x\nRUN a \\\n  <<EOF\nb") == "<<EOF");
  CHECK(place("FROM x\nWORKDIR\n") == "WORKDIR");
  CHECK(place("FROM x\nONBUILD FROM y\n") == "FROM");
}

TEST_CASE("every independent mistake is reported, in order") {
  CHECK(messages("# escape=x\nFROM a AS 1\nRNU b\nCOPY --link=2 --foo c\nENV d\nENV =e\nEXPOSE\nUSER --x=y\n") ==
        Strings{"invalid escape token 'x' does not match ` or \\",
                "invalid name for build stage: \"1\", name can't start with a number or contain symbols",
                "unknown instruction: RNU",
                "COPY requires at least two arguments, but only one was provided. Destination could not be determined",
                "expecting boolean value for flag --link, not: 2", "unknown flag: --foo", "ENV must have two arguments",
                "ENV names can not be blank", "EXPOSE requires at least one argument", "unknown flag: --x",
                "USER requires exactly one argument"});
  CHECK(line_messages("HEALTHCHECK --interval=x --timeout=5 --retries=-1 --start-period=1us FOO") ==
        Strings{"time: invalid duration \"x\"", "time: missing unit in duration \"5\"",
                "Interval \"start-period\" cannot be less than 1ms", "--retries cannot be negative (-1)",
                "Unknown type \"FOO\" in HEALTHCHECK (try CMD)"});
}

TEST_CASE("no more than twenty errors") {
  std::string text = "FROM x\n";
  for (int i = 0; i < 100; ++i) text += "NOPE\n";
  CHECK(errors_of(text).size() == 20);
}

TEST_CASE("flags of RUN") {
  const auto run = only<RunInstruction>(
      "RUN --mount=type=cache,target=/a --mount=type=ssh --network=none --security=insecure --device=a/b=c "
      "--timeout=90s --retry=3 --resource=memory=1g --resource=cpu-quota=50000 make");
  CHECK(run.mounts.size() == 2);
  CHECK(run.network->value == "none");
  CHECK(run.security->value == "insecure");
  CHECK(run.devices[0].value == "a/b=c");
  CHECK(run.timeout->value == "90s");
  CHECK(run.retry->value == "3");
  REQUIRE(run.resources.size() == 2);
  CHECK(run.resources[1].value == "cpu-quota=50000");
  CHECK(run.command.arguments[0].value == "make");
  CHECK(line_messages("RUN --network=foo x") == Strings{"invalid network mode \"foo\""});
  CHECK(line_messages("RUN --network= x") == Strings{"invalid network mode \"\""});
  CHECK(line_messages("RUN --security=none x") == Strings{"security \"none\" is not valid"});
  CHECK(line_messages("RUN --mount=from=$x y") ==
        Strings{"'from' doesn't support variable expansion, define alias stage instead"});
  CHECK(line_messages("RUN --device=a,b x") == Strings{"invalid field 'b' must be a key=value pair"});
  CHECK(line_messages("RUN --timeout=5 --retry=-1 x") ==
        Strings{"invalid value \"5\" for --timeout", "invalid value \"-1\" for --retry"});
  CHECK(line_messages("RUN --retry=101 x") == Strings{"invalid value \"101\" for --retry"});
  CHECK(line_messages("RUN --resource=memroy=1g x") == Strings{"--resource: unknown key 'memroy'"});
  CHECK(line_messages("RUN --resource=memory=2g --resource=memory-swap=1g x") ==
        Strings{"--resource: memory-swap is memory and swap together, it cannot be less than memory"});
  CHECK(line_messages("RUN --network=none --network=none x") == Strings{"duplicate flag specified: --network"});
}

TEST_CASE("flags of COPY and ADD") {
  const auto copy =
      only<CopyInstruction>("COPY --from=b --chown=1:2 --chmod=755 --link --parents --exclude=*.o --exclude=t a b");
  CHECK(copy.from->value == "b");
  CHECK(copy.chown->value == "1:2");
  CHECK(copy.chmod->value == "755");
  CHECK(copy.link);
  CHECK(copy.parents);
  CHECK(copy.excludes.size() == 2);
  const auto add = only<CopyInstruction>("ADD --keep-git-dir=true --checksum=sha256:0 --unpack=false --link=FALSE a b");
  CHECK(add.add);
  CHECK(add.keep_git_dir);
  CHECK(add.checksum->value == "sha256:0");
  CHECK(add.unpack == false);
  CHECK_FALSE(add.link);
  CHECK_FALSE(only<CopyInstruction>("ADD a b").unpack);
  CHECK(line_messages("ADD --from=x a b") == Strings{"unknown flag: --from"});
  CHECK(line_messages("ADD --parents a b") == Strings{"unknown flag: --parents"});
  CHECK(line_messages("COPY --checksum=x a b") == Strings{"unknown flag: --checksum"});
  CHECK_FALSE(only<CopyInstruction>("COPY --from= a b").from);
}

TEST_CASE("flags where there are none") {
  for (const char* line :
       {"CMD --x a", "ENTRYPOINT --x a", "ENV --x a=b", "LABEL --x a=b", "EXPOSE --x 1", "VOLUME --x a", "USER --x a",
        "WORKDIR --x a", "MAINTAINER --x a", "SHELL --x [\"a\"]", "ONBUILD --x RUN a"}) {
    CAPTURE(line);
    CHECK(line_messages(line) == Strings{"unknown flag: --x"});
  }
  CHECK(only<ArgInstruction>("ARG --x a=b").items.size() == 1);
  CHECK(only<StopsignalInstruction>("STOPSIGNAL --x 9").signal.value == "9");
  CHECK(only<HealthcheckInstruction>("HEALTHCHECK --x NONE").none);
}

TEST_CASE("stage names") {
  const Dockerfile file = parse("# build makes it\nFROM x As Build\nFROM y\n");
  CHECK(file.stages[0].name == "build");
  CHECK(file.stages[0].description == "makes it");
  const auto& from = std::get<FromInstruction>(file.stages[0].from.body);
  CHECK(from.name->value == "Build");
  CHECK(from.as_keyword.value == "As");
  CHECK(file.stages[1].name.empty());
  for (const char* name : {"1a", "-a", "a$", "a/b", "_a", "\xC3\xA9"}) {
    CAPTURE(name);
    CHECK(messages(std::string("FROM x AS ") + name) == Strings{"invalid name for build stage: " + go_quote(name) +
                                                                ", name can't start with a number or contain symbols"});
  }
  CHECK(messages("FROM x AS a.b-c_1").empty());
}

TEST_CASE("heredocs in COPY") {
  const auto copy = only<CopyInstruction>("COPY <<A f <<-'B' /d/\n1\nA\n\t$x\n\tB");
  REQUIRE(copy.heredocs.size() == 2);
  CHECK(copy.heredocs[0].name.value == "A");
  CHECK(copy.heredocs[0].body == "1\n");
  CHECK(copy.heredocs[0].expand);
  CHECK(copy.heredocs[1].body == "$x\n");
  CHECK(copy.heredocs[1].raw_body == "\t$x\n");
  CHECK_FALSE(copy.heredocs[1].expand);
  CHECK(marked(copy.heredocs[0].span) == "1\nA");
  CHECK(copy.sources.size() == 1);
  CHECK(copy.destination.value == "/d/");
  CHECK(line_messages("COPY a <<EOF\nEOF") == Strings{"COPY cannot accept a heredoc as a destination"});
  CHECK(line_messages("ADD a <<EOF\nEOF") == Strings{"ADD cannot accept a heredoc as a destination"});
}

TEST_CASE("heredocs of one name share the last body, the JSON form has none") {
  const auto copy = only<CopyInstruction>("COPY <<A <<A /d/\n1\nA\n2\nA");
  REQUIRE(copy.heredocs.size() == 2);
  CHECK(copy.heredocs[0].body == "2\n");
  CHECK(copy.heredocs[1].body == "2\n");
  const auto json = only<CopyInstruction>("COPY [\"<<A\", \"/d\"]");
  CHECK(json.heredocs.at(0).body.empty());
  CHECK(only<RunInstruction>("RUN [\"<<A\"]").command.heredocs.empty());
}

TEST_CASE("heredocs in RUN") {
  const auto script = only<RunInstruction>("RUN --network=none 3<<-EOF\n\techo a \\\n\n# b\n\tEOF").command;
  CHECK(script.heredoc_only);
  CHECK(script.heredocs[0].fd == 3);
  CHECK(script.heredocs[0].body == "echo a \\\n\n# b\n");
  CHECK(script.heredocs[0].raw_body == "\techo a \\\n\n# b\n");
  CHECK_FALSE(only<RunInstruction>("RUN cat <<EOF\nEOF").command.heredoc_only);
  CHECK_FALSE(only<RunInstruction>("RUN <<A <<B\nA\nB").command.heredoc_only);
  CHECK_FALSE(only<RunInstruction>("RUN echo x").command.heredoc_only);
}

TEST_CASE("heredocs that do not end") {
  const auto errors = errors_of("FROM x\nRUN <<EOF\na\n EOF\n");
  REQUIRE(errors.size() == 1);
  CHECK(errors[0].message == "unterminated heredoc");
  CHECK(errors[0].hint == "end it with a line that is exactly \"EOF\"; line 4 has blanks around it");
  CHECK(errors_of("FROM x\nRUN <<EOF\n")[0].hint == "end it with a line that is exactly \"EOF\"");
}

TEST_CASE("instructions without heredocs leave the lines below alone") {
  CHECK(messages("FROM x\nCMD cat <<EOF\nEOF\n") == Strings{"unknown instruction: EOF"});
  CHECK(messages("FROM x\nUSER <<EOF\nEOF\n") == Strings{"unknown instruction: EOF"});
}

TEST_CASE("ONBUILD stores its trigger as text") {
  const auto trigger = [](const std::string& line) { return only<OnbuildInstruction>(line).trigger.value; };
  CHECK(trigger("ONBUILD RUN a  b ") == "RUN a  b ");
  CHECK(trigger("onbuild\tcopy \\\n  a b") == "copy   a b");
  CHECK(trigger("ONBUILD RUN <<-A <<B\n\t1\n\tA\n2\nB") == "RUN <<-A <<B\n\t1\nA\n2\nB");
  CHECK(trigger("ONBUILD RUN [\"<<A\"]") == "RUN [\"<<A\"]");
}

TEST_CASE("ONBUILD rejects instructions that cannot be triggers") {
  CHECK(line_messages("ONBUILD ONBUILD RUN x") == Strings{"Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"});
  CHECK(line_messages("ONBUILD from x") == Strings{"FROM isn't allowed as an ONBUILD trigger"});
  CHECK(line_messages("ONBUILD MAINTAINER x") == Strings{"MAINTAINER isn't allowed as an ONBUILD trigger"});
  CHECK(line_messages("ONBUILD CMD [1]") ==
        Strings{"when using JSON array syntax, arrays must be comprised of strings only"});
  CHECK(line_messages("ONBUILD ENV a") == Strings{"ENV must have two arguments"});
}

TEST_CASE("a trigger that can never run is a warning") {
  const auto warnings = [](const std::string& line) {
    Strings out;
    for (const Diagnostic& warning : parse("FROM x\n" + line + "\n").warnings) {
      CHECK(warning.severity == Severity::warning);
      CHECK(warning.rule.empty());
      out.push_back(warning.message);
    }
    return out;
  };
  CHECK(warnings("ONBUILD RUN x").empty());
  CHECK(warnings("ONBUILD RNU x") == Strings{"builds on top of this image will fail: unknown instruction: RNU"});
  CHECK(warnings("ONBUILD COPY --foo a b") == Strings{"builds on top of this image will fail: unknown flag: --foo"});
}

TEST_CASE("parse_trigger") {
  const Instruction copy = parse_trigger("COPY . /app", "base:1");
  CHECK(std::get<CopyInstruction>(copy.body).destination.value == "/app");
  CHECK(copy.span.source->name() == "base:1");
  const Instruction run = parse_trigger("RUN cat <<EOF\na\nEOF", "base:1");
  CHECK(std::get<RunInstruction>(run.body).command.heredocs[0].body == "a\n");
  const auto failure = [](const std::string& trigger) -> std::string {
    try {
      parse_trigger(trigger, "base:1");
    } catch (const DiagnosticError& error) {
      return error.what();
    }
    return "no failure";
  };
  CHECK(failure("") == "onbuild trigger should be a single expression");
  CHECK(failure("RUN a\nRUN b") == "onbuild trigger should be a single expression");
  CHECK(failure("FROM x") == "FROM isn't allowed as an ONBUILD trigger");
  CHECK(failure("RNU x") == "unknown instruction: RNU");
  CHECK(failure("COPY a") ==
        "COPY requires at least two arguments, but only one was provided. Destination could not be determined");
}

TEST_CASE("a stored trigger parses to the same instruction") {
  const std::string line = "RUN --network=none cat <<A - <<-'B c' >x\n1\nA\n\t2\nB c";
  const auto direct = only<RunInstruction>(line);
  const auto stored = only<OnbuildInstruction>("ONBUILD " + line).trigger.value;
  CHECK(std::get<RunInstruction>(parse_trigger(stored, "base").body) == direct);
}

TEST_CASE("blank continuation lines are warned about at the last line") {
  Checks checks;
  const auto source = std::make_shared<const SourceText>("Dockerfile", "FROM x\nRUN a \\\n\n  b\n");
  parse_dockerfile(source, {.checks = &checks});
  const auto found = checks.findings();
  REQUIRE(found.size() == 1);
  CHECK(found[0].rule == "NoEmptyContinuation");
  CHECK(found[0].message == "Empty continuation line");
  CHECK(marked(found[0].span) == "  b");
}

TEST_CASE("places in the tree") {
  const Dockerfile file = parse("FROM x\nCOPY --from=y \\\n  a \\\n # c\n  b <<E /d\nE\nENV k=\"v w\"\n");
  const Instruction& copy = file.stages[0].instructions[0];
  CHECK(marked(copy.span) == "COPY --from=y \\\n  a \\\n # c\n  b <<E /d\nE");
  CHECK(marked(copy.bodies) == "E");
  CHECK(copy.original == "COPY --from=y   a   b <<E /d");
  CHECK(marked(copy.flags[0].name.span) == "--from");
  CHECK(marked(copy.flags[0].value->span) == "y");
  const auto& body = std::get<CopyInstruction>(copy.body);
  CHECK(marked(body.sources[1].span) == "b");
  CHECK(marked(body.heredocs[0].name.span) == "<<E");
  CHECK(marked(body.destination.span) == "/d");
  const auto& env = std::get<EnvInstruction>(file.stages[0].instructions[1].body);
  CHECK(marked(env.pairs[0].key.span) == "k");
  CHECK(marked(env.pairs[0].value.span) == "\"v w\"");
}

TEST_CASE("a word over several lines spans them") {
  const Dockerfile file = parse("FROM x\nENV ab\\\ncd=ef\\\ngh\n");
  const auto& env = std::get<EnvInstruction>(file.stages[0].instructions[0].body);
  CHECK(env.pairs[0].key.value == "abcd");
  CHECK(marked(env.pairs[0].key.span) == "ab\\\ncd");
  CHECK(marked(env.pairs[0].value.span) == "ef\\\ngh");
}

TEST_CASE("lines that are too long") {
  const std::string longest(65535 - 4, 'x');
  CHECK(messages("FROM x\nRUN " + longest + "\n").empty());
  CHECK(messages("FROM x\nRUN " + longest + "y\n") ==
        Strings{"dockerfile line greater than max allowed size of 65535"});
  CHECK(messages("FROM x\nRUN <<EOF\n" + longest + "abcdef\nEOF\n") ==
        Strings{"dockerfile line greater than max allowed size of 65535"});
}

TEST_CASE("invalid UTF-8 passes, except where words are taken apart") {
  CHECK(only<RunInstruction>("RUN echo \xFF").command.arguments[0].value == "echo \xFF");
  CHECK(only<EnvInstruction>("ENV a=\xFF").pairs[0].value.value == "\xEF\xBF\xBD");
}

TEST_CASE("all instructions are known") {
  CHECK(instruction_names() == Strings{"ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM",
                                       "HEALTHCHECK", "LABEL", "MAINTAINER", "ONBUILD", "RUN", "SHELL", "STOPSIGNAL",
                                       "USER", "VOLUME", "WORKDIR"});
}

}  // namespace
}  // namespace cbuild::frontend
