# SPDX-License-Identifier: Apache-2.0
# cmake --install: the program, its manual pages and completions (which it prints itself), documentation and licence.
include(GNUInstallDirs)
set(CBUILD_ZSH_COMPLETIONS "${CMAKE_INSTALL_DATADIR}/zsh/site-functions" CACHE STRING "Where zsh looks for completions")

set(pages "${CMAKE_BINARY_DIR}/pages")
add_custom_command(OUTPUT "${pages}/made"
  COMMAND "${CMAKE_SOURCE_DIR}/packaging/pages.sh" "$<TARGET_FILE:cbuild>" "${pages}"
  COMMAND "${CMAKE_COMMAND}" -E touch "${pages}/made"
  DEPENDS cbuild "${CMAKE_SOURCE_DIR}/packaging/pages.sh"
  VERBATIM)
add_custom_target(cbuild_pages ALL DEPENDS "${pages}/made")

install(TARGETS cbuild RUNTIME)
# OPTIONAL: where the program alone was built, the rest is installed without them.
install(DIRECTORY "${pages}/man/" DESTINATION "${CMAKE_INSTALL_MANDIR}" OPTIONAL)
install(FILES "${pages}/completions/cbuild.bash" RENAME cbuild OPTIONAL
  DESTINATION "${CMAKE_INSTALL_DATADIR}/bash-completion/completions")
install(FILES "${pages}/completions/cbuild.zsh" RENAME _cbuild DESTINATION "${CBUILD_ZSH_COMPLETIONS}" OPTIONAL)
install(FILES "${pages}/completions/cbuild.fish" DESTINATION "${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d" OPTIONAL)
install(FILES README.md CHANGELOG.md LICENSE DESTINATION "${CMAKE_INSTALL_DOCDIR}")
install(DIRECTORY docs/ DESTINATION "${CMAKE_INSTALL_DOCDIR}/docs" FILES_MATCHING PATTERN "*.md" PATTERN "*.svg"
  PATTERN flames EXCLUDE)
install(DIRECTORY examples/ DESTINATION "${CMAKE_INSTALL_DOCDIR}/examples" USE_SOURCE_PERMISSIONS PATTERN "*.tar" EXCLUDE)

# cbuildd, with `cmake --install build/PRESET --component daemon`.
if(CBUILD_DAEMON)
  install(TARGETS cbuildd RUNTIME COMPONENT daemon EXCLUDE_FROM_ALL)
  install(FILES packaging/systemd/cbuildd.service packaging/systemd/cbuildd.socket DESTINATION lib/systemd/system
    COMPONENT daemon EXCLUDE_FROM_ALL)
endif()
