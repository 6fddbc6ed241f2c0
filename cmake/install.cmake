# What `cmake --install` puts where:
#   ${bindir}                     geomem-record, geomem-report, geomem-top
#   ${libdir}/geomem              the preload library and the extension geomem_events for SQLite: private, outside the
#                                 linker's search path
#   ${libexecdir}/geomem          geomem-symbolize, which the other commands start
#   ${includedir}/geomem          headers
#   ${mandir}                     man pages (docs/CMakeLists.txt)
#   ${datadir}                    completions, magic for file(1), this project's licence
# The commands find the two private parts relative to their own file, so an installation can be moved.
# The private parts are installed where they are built; the rest is here.
foreach(command geomem-record geomem-report geomem-top)
  if(TARGET ${command})
    install(TARGETS ${command} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  endif()
endforeach()
install(FILES LICENSE README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES docs/geomem.magic DESTINATION ${CMAKE_INSTALL_DATADIR}/geomem)

# Completions load by the name of the command, so bash and fish get one file for each.
foreach(command geomem-record geomem-report geomem-top)
  install(FILES docs/completions/geomem.bash RENAME ${command}
    DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
  install(FILES docs/completions/geomem.fish RENAME ${command}.fish
    DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
endforeach()
install(FILES docs/completions/_geomem DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
