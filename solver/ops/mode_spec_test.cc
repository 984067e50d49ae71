// SPDX-License-Identifier: Apache-2.0
#include "solver/ops/mode_spec.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace cbuild::solver::ops {

TEST_CASE("chmod parameters change modes as chmod(1) does") {
  struct Row {
    const char* text;
    mode_t before;
    bool directory;
    mode_t after;
  };
  const Row rows[] = {
      {"", 0644, false, 0644},           {"755", 0600, false, 0755},          {"0", 0777, true, 0},
      {"7777", 0, false, 07777},         {"u=rwX,go=rX", 0600, false, 0644},  {"u=rwX,go=rX", 0700, false, 0755},
      {"u=rwX,go=rX", 0600, true, 0755}, {"+x", 0644, false, 0755},           {"a-w", 0666, false, 0444},
      {"g=u", 0740, false, 0770},        {"u+s", 0755, false, 04755},         {"+t", 0777, true, 01777},
      {"go=", 0777, false, 0700},        {"u=rw,g+w,o-r", 0744, false, 0660}, {"u=rwx", 02755, true, 02755},
      {"g=rx", 02775, true, 0755},       {"g=rx", 02775, false, 0755},        {"g=rxs", 0775, true, 02755},
      {"u=g", 04711, false, 04111},      {"g=u", 02711, true, 02771},         {"u=g+w", 04711, false, 04311},
      {"u=rx", 06755, true, 02555},      {"u=rx", 06755, false, 02555},       {"g-s", 02755, true, 0755},
      {"a=rx", 07777, true, 01555},      {"=rx", 07777, false, 01555},        {"g+w", 06755, true, 06775},
      {"u=rxt", 0777, true, 01577},      {"o+t", 0777, true, 0777},           {"o=rx", 07777, true, 07775},
      {"a=r,a+X", 0755, false, 0555},    {"a=r,a+X", 0644, false, 0444},      {"a-t", 01777, true, 0777},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    CHECK(parse_mode_change(row.text)(row.before, row.directory) == row.after);
  }
}

TEST_CASE("bad chmod parameters are refused with BuildKit's text") {
  for (const char* text : {"64a", "8", "10000", "u", "z+x", "u=q", "+x,"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(parse_mode_change(text), Error);
  }
  CHECK_THROWS_WITH_AS(parse_mode_change("64a"),
                       "invalid chmod parameter: '64a'. it should be octal string and between 0 and 07777", Error);
}

}  // namespace cbuild::solver::ops
